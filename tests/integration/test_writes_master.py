"""writes: master, and reading through: commands that the other node executes.

  test_writes_master.py [--increments N]
"""

import argparse
import sys
import threading
import time
import unittest

from control import configure, run
from harness import SLOWDOWN, PairTest, eventually, wait_in_sync

THREADS_PER_NODE = 2
PIPELINE = 20

settings = argparse.Namespace(increments=20_000)


def in_threads(works):
    """Runs all and passes on the first failure."""
    failures = []

    def guarded(work):
        try:
            work()
        except Exception as error:  # pylint: disable=broad-except
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120 * SLOWDOWN)
        assert not thread.is_alive(), "a thread hangs"
    if failures:
        raise failures[0]


class WritesMaster(PairTest):
    def pair_with(self, *lines, **options):
        yaml = "replication:\n" + "".join(f"  {line}\n" for line in lines)
        master = configure(self.node("a", **options), yaml).start()
        slave = configure(self.node("b", **options), yaml).start(peer=master)
        wait_in_sync(master, slave)
        return master, slave

    def test_counters_are_exact_whichever_node_counts(self):
        master, slave = self.pair_with("writes: master")
        with master.client() as client:
            self.assertEqual(client.set("n", b"0"), "STORED")
        wait_in_sync(master, slave)
        share = settings.increments // (2 * THREADS_PER_NODE)
        numbers = []

        def count(node):
            mine = []
            with node.client(timeout=20) as client:
                for _ in range(share // PIPELINE):
                    client.send(b"incr n 1\r\n" * PIPELINE)
                    mine += [int(client.line()) for _ in range(PIPELINE)]
            numbers.extend(mine)

        started = time.monotonic()
        in_threads([lambda node=node: count(node) for node in (master, slave)
                    for _ in range(THREADS_PER_NODE)])
        took = time.monotonic() - started
        self.assertEqual(sorted(numbers), list(range(1, len(numbers) + 1)))
        self.assertEqual(len(numbers), share // PIPELINE * PIPELINE * 2 * THREADS_PER_NODE)
        wait_in_sync(master, slave)
        for node in (master, slave):
            with node.client() as client:
                self.assertEqual(client.get("n"), str(len(numbers)).encode())
        print(f"\n  {len(numbers)} increments from both nodes in {took:.2f} s, none lost")

    def test_add_is_a_lock_and_cas_a_transaction_across_the_pair(self):
        master, slave = self.pair_with("writes: master")
        won = {}

        def grab(node):
            with node.client(timeout=20) as client:
                for i in range(200):
                    if client.store("add", f"lock{i}", b"x") == "STORED":
                        won.setdefault(i, []).append(node.name)

        in_threads([lambda node=node: grab(node) for node in (master, slave, master, slave)])
        self.assertEqual(sorted(won), list(range(200)))
        self.assertEqual({len(winners) for winners in won.values()}, {1})

        with master.client() as client:
            self.assertEqual(client.set("sum", b"0"), "STORED")
        wait_in_sync(master, slave)
        stored = []

        def add_up(node):
            with node.client(timeout=20) as client:
                for _ in range(150):
                    _, value, unique = client.gets("sum")["sum"]
                    reply = client.store("cas", "sum", str(int(value) + 1).encode(), cas=unique)
                    if reply == "STORED":
                        stored.append(node.name)
                    else:
                        self.assertEqual(reply, "EXISTS")

        in_threads([lambda node=node: add_up(node) for node in (master, slave, master, slave)])
        with master.client() as client:
            self.assertEqual(client.get("sum"), str(len(stored)).encode())

    def test_a_slaves_client_reads_what_it_wrote(self):
        master, slave = self.pair_with("writes: master")
        with slave.client() as client:
            for i, size in enumerate([1, 100, 20_000, 300_000, 1_000_000, 5] * 5):
                value = b"%d " % i + b"v" * size
                # In one pipeline, over an older value.
                client.send(b"set k 0 0 %d\r\n%s\r\nget k\r\n" % (len(value), value))
                self.assertEqual(client.line(), "STORED")
                self.assertEqual(client.line(), f"VALUE k 0 {len(value)}")
                self.assertEqual(client.exactly(len(value) + 7), value + b"\r\nEND\r\n")
            self.assertEqual(client.gat(100, "k")["k"][1][:3], b"29 ")
            self.assertEqual(client.command("flush_all"), "OK")
            self.assertIsNone(client.get("k"))
        with master.client() as client:
            self.assertIsNone(client.get("k"))

    def test_a_lost_master_is_an_error_and_then_the_slave_decides(self):
        master, slave = self.pair_with("writes: master")
        with slave.client(timeout=20) as client:
            self.assertEqual(client.set("n", b"0"), "STORED")
            answers = []
            killer = threading.Timer(0.1, master.kill)
            killer.start()
            deadline = time.monotonic() + 5 * SLOWDOWN
            while slave.role() != "MASTER" and time.monotonic() < deadline:
                client.send(b"incr n 1\r\n" * 5)
                answers += [client.line() for _ in range(5)]
            killer.join()
            answers += [client.command("incr n 1")]
            self.assertTrue(answers[-1].isdigit(), answers[-10:])
            numbers = [int(answer) for answer in answers if answer.isdigit()]
            # None is given twice. One without an answer may have been carried out, or not.
            self.assertEqual(sorted(set(numbers)), numbers)
            self.assertLessEqual(sum(not answer.isdigit() for answer in answers), 5)
            self.assertEqual({a for a in answers if not a.isdigit()}
                             - {"SERVER_ERROR no answer from the master"}, set())

    def test_on_partition_error_refuses_until_told(self):
        master, slave = self.pair_with("writes: master", "writes_on_partition: error",
                                       'writes_prefixes: ["lock:"]')
        with slave.client() as client:
            self.assertEqual(client.store("add", "lock:a", b"1"), "STORED")
            master.kill_and_wait()
            slave.wait_role("MASTER")
            self.assertEqual(client.store("add", "lock:b", b"1"),
                             "SERVER_ERROR the master is out of reach")
            self.assertEqual(client.set("other", b"1"), "STORED")
            run(slave, "alone on")
            eventually(lambda: client.store("add", "lock:b", b"1") == "STORED", 5, "it is told")
            self.assertEqual(client.store("add", "lock:a", b"1"), "NOT_STORED")

    def test_a_node_that_is_filled_serves_what_it_has(self):
        master = configure(self.node("a"), "replication:\n  sync_rate: 16MiB\n").start()
        count = 20_000
        with master.client(timeout=20) as client:
            for start in range(0, count, 1000):
                for i in range(start, start + 1000):
                    client.store_noreply("set", f"k{i}", b"v" * 1000)
            self.assertEqual(client.set("last", b"1"), "STORED")
        slave = configure(self.node("b"), "replication:\n  while_syncing: serve\n")
        slave.start(peer=master, wait=False)
        roles, misses = [], 0

        with eventually(lambda: slave.client(timeout=20), 5, "clients are let in") as client:
            while "SLAVE" not in roles:
                roles.append(client.stats("replication")["role"])
                keys = [f"k{i}" for i in range(0, count, count // 50)]
                misses += len(keys) - len(client.gets(*keys))
                # Neither what is newer here nor what is deleted here is undone by the copy.
                self.assertEqual(client.set("k1", b"newer"), "STORED")
                client.command("delete k2")
                self.assertEqual(client.gets("k1", "k2")["k1"][1], b"newer")
                self.assertIsNone(client.get("k2"))
            self.assertEqual(len(client.gets(*keys)), len(keys))
        self.assertEqual(roles[0], "SYNCING")
        self.assertGreater(misses, 0)
        wait_in_sync(master, slave)
        with master.client() as client:
            self.assertEqual(client.get("k1"), b"newer")
            self.assertIsNone(client.get("k2"))

    def test_a_node_that_is_filled_reads_through(self):
        master = configure(self.node("a", memory_mib=256), "").start()
        count = 60_000
        value = b"v" * 1000
        with master.client(timeout=20) as client:
            for start in range(0, count, 1000):
                for i in range(start, start + 1000):
                    client.store_noreply("set", f"k{i}", value)
            self.assertEqual(client.set("last", b"1"), "STORED")
        slave = configure(self.node("b", memory_mib=256),
                          "replication:\n  while_syncing: read_through\n")
        slave.start(peer=master, wait=False)
        roles = set()

        def looked():
            with slave.client() as client:
                i = 0
                while True:
                    roles.add(client.stats("replication")["role"])
                    i = (i * 31 + 17) % count
                    keys = [f"k{(i + n) % count}" for n in range(5)]
                    self.assertEqual(len(client.gets(*keys)), 5, roles)
                    if "SLAVE" in roles:
                        return True

        eventually(looked, 20, "the newcomer serves")
        wait_in_sync(master, slave)
        self.assertIn("SYNCING", roles)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--increments", type=int, default=20_000)
    parser.parse_args(namespace=settings)
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(argv=sys.argv[:1], verbosity=2)
