"""Switchovers under load: nothing acknowledged is lost, and clients hardly notice.

`--switchovers N` (5) for each of the two ways, clients kept and clients sent to the new master. The
pause of a switchover is the longest time between two acknowledgements that a writer saw around it.
"""

import argparse
import collections
import sys
import threading
import time
import unittest

import control
from client import ConnectionLost
from control import Refused
from harness import SLOWDOWN, Client, HOST, PairTest, eventually, wait_in_sync

PAUSE_LIMIT = 0.200  # seconds, p99
WRITERS = 4
KEYS_OF_A_WRITER = 2000

settings = argparse.Namespace(switchovers=5)


class Writer(threading.Thread):
    """Sets one key after the other; remembers what was acknowledged, and when."""

    def __init__(self, name, choose):
        super().__init__(daemon=True)
        self.prefix = name
        self.choose = choose  # gives a connected client, or None
        self.acknowledged = collections.OrderedDict()  # the last value of each key
        self.times = []
        self.done = threading.Event()
        self.failure = None

    def run(self):
        client, number = None, 0
        try:
            while not self.done.is_set():
                try:
                    client = client or self.choose()
                    if client is None:
                        continue
                    key = f"{self.prefix}:{number % KEYS_OF_A_WRITER}"
                    value = f"{number}:{'v' * 80}".encode()
                    if client.set(key, value) == "STORED":
                        self.acknowledged[key] = value
                        self.times.append(time.monotonic())
                        number += 1
                except (ConnectionLost, OSError):
                    if client:
                        client.close()
                    client = None  # what was under way may be stored or not; it is set again
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error
        finally:
            if client:
                client.close()

    def pause(self, begin, end):
        """The longest time without an acknowledgement that reaches into begin..end."""
        gaps = [0.0]
        for before, after in zip(self.times, self.times[1:]):
            if after >= begin and before <= end:
                gaps.append(after - before)
        return max(gaps)


class Switchover(PairTest):
    def connected_pair(self, yaml=""):
        master = control.configure(self.node("a"), yaml).start()
        slave = control.configure(self.node("b"), yaml).start(peer=master)
        wait_in_sync(master, slave)
        return master, slave

    def write_to(self, *nodes):
        return [Writer(f"{node.name}{i}", lambda n=node: n.client()) for node in nodes
                for i in range(WRITERS // len(nodes))]

    def check(self, writers, *nodes):
        """Every acknowledged value is there, or a later one of the same writer."""
        lost = []
        for writer in writers:
            self.assertIsNone(writer.failure)
            keys = list(writer.acknowledged)
            for node in nodes:
                with node.client(timeout=20) as client:
                    for start in range(0, len(keys), 100):
                        found = client.gets(*keys[start:start + 100])
                        for key in keys[start:start + 100]:
                            wanted = int(writer.acknowledged[key].split(b":")[0])
                            got = int(found[key][1].split(b":")[0]) if key in found else -1
                            if got < wanted:
                                lost.append((node.name, key, wanted, got))
        self.assertEqual(lost, [])

    def check_early(self, before, node):
        """What was acknowledged when the switchover was asked for is on the new master."""
        with node.client() as client:
            for key, value in before:
                got = client.get(key)
                self.assertIsNotNone(got, key)
                self.assertGreaterEqual(int(got.split(b":")[0]), int(value.split(b":")[0]), key)

    def switch_under_load(self, master, slave, writers):
        """The pauses of settings.switchovers switchovers, told to either node in turn."""
        for writer in writers:
            writer.start()
        eventually(lambda: all(len(w.times) > 50 for w in writers), 10, "the writers write")
        pauses, terms = [], [int(master.replication()["term"])]
        for i in range(settings.switchovers):
            before = [(k, w.acknowledged[k]) for w in writers
                      for k in list(w.acknowledged)[-20:]]
            counts = [len(w.times) for w in writers]
            begin = time.monotonic()
            control.run(master if i % 2 == 0 else slave, "switchover")
            end = time.monotonic()
            self.check_early(before, slave)
            master.wait_role("SLAVE")
            slave.wait_role("MASTER")
            master, slave = slave, master
            terms.append(int(master.replication()["term"]))
            eventually(lambda c=counts: all(len(w.times) > n + 20 for w, n in zip(writers, c)), 10,
                       "the writers go on")
            pauses.append(max(w.pause(begin, end) for w in writers))
        for writer in writers:
            writer.done.set()
        for writer in writers:
            writer.join()
        self.assertEqual(terms, list(range(terms[0], terms[0] + len(terms))))
        return master, slave, pauses

    def report(self, how, pauses, writers):
        pauses = sorted(pauses)
        p99 = pauses[min(len(pauses) - 1, int(len(pauses) * 0.99))]
        print(f"\n  {how}: {len(pauses)} switchovers, {sum(len(w.times) for w in writers)} writes, "
              f"0 lost; pause median {1000 * pauses[len(pauses) // 2]:.1f} ms, "
              f"p99 {1000 * p99:.1f} ms, limit {1000 * PAUSE_LIMIT:.0f} ms")
        self.assertLess(p99, PAUSE_LIMIT * SLOWDOWN)

    def test_clients_of_both_nodes_stay_and_nothing_is_lost(self):
        master, slave = self.connected_pair()
        writers = self.write_to(master, slave)
        master, slave, pauses = self.switch_under_load(master, slave, writers)
        wait_in_sync(master, slave)
        self.check(writers, master, slave)
        self.report("clients kept", pauses, writers)
        # Nobody was thrown out, and the link never broke.
        for node in (master, slave):
            self.assertEqual(node.replication()["disconnects"], "0")

    def test_clients_are_sent_to_the_new_master_and_nothing_is_lost(self):
        nodes = self.connected_pair("replication:\n  on_demotion: close\n")

        def at_master():
            for node in nodes:
                client = Client(HOST, node.port, 5 * SLOWDOWN)
                if client.stats("replication")["role"] == "MASTER":
                    return client
                client.close()
            return None

        writers = [Writer(f"m{i}", at_master) for i in range(WRITERS)]
        master, slave, pauses = self.switch_under_load(*nodes, writers)
        wait_in_sync(master, slave)
        self.check(writers, master, slave)
        self.report("clients closed", pauses, writers)

    def test_a_master_killed_after_its_switchover_takes_nothing_with_it(self):
        master, slave = self.connected_pair()
        writers = self.write_to(master)
        for writer in writers:
            writer.start()
        eventually(lambda: all(len(w.times) > 200 for w in writers), 10, "the writers write")
        for writer in writers:
            writer.done.set()
        for writer in writers:
            writer.join()
        control.run(master, "switchover")
        master.kill_and_wait()
        self.check(writers, slave)
        self.assertEqual(slave.role(), "MASTER")
        self.assertEqual(slave.replication()["term"], "2")

    def test_promote_demote_and_refusals(self):
        master = control.configure(self.node("a")).start()
        for command in ("switchover", "demote"):
            with self.assertRaisesRegex(Refused, "there is no peer"):
                control.run(master, command)
        self.assertEqual(control.run(master, "promote"), ["this node is the master already"])
        slave = control.configure(self.node("b")).start(peer=master)
        wait_in_sync(master, slave)
        self.assertEqual(control.run(slave, "demote"), ["this node is a slave already"])
        control.run(slave, "promote")
        wait_in_sync(slave, master)
        self.assertEqual(slave.role(), "MASTER")
        control.run(slave, "demote")
        self.assertEqual(master.role(), "MASTER")
        self.assertEqual(master.replication()["term"], "3")
        # A slave whose master is silent need not wait for the dead time to be over.
        wait_in_sync(master, slave)
        master.stop()
        eventually(master.process.is_stopped, 5, "it has stopped")
        with self.assertRaisesRegex(Refused, "the link was lost|too long"):
            control.run(slave, "promote")
        slave.wait_role("MASTER")
        self.assertEqual(slave.replication()["term"], "4")
        master.resume()
        wait_in_sync(slave, master)
        self.assertEqual(slave.role(), "MASTER")

    def test_a_drained_node_lets_its_clients_finish(self):
        master, slave = self.connected_pair()
        with master.client() as busy, master.client() as idle:
            self.assertEqual(busy.set("k", b"1"), "STORED")
            self.assertEqual(idle.get("k"), b"1")
            control.run(master, "drain")
            self.assertEqual(control.run(master, "drain"), ["this node is drained already"])
            self.assertEqual(slave.role(), "MASTER")
            with control.Control(master.control_path) as asked:
                status = asked.status()
            self.assertEqual((status["role"], status["draining"], status["serving"]),
                             ("SLAVE", "yes", "no"))

            def refused():
                try:
                    master.client().close()
                except ConnectionRefusedError:
                    return True
                return False
            eventually(refused, 5, "new clients are refused")
            # Who works stays; who rests is sent away.
            resting = threading.Thread(target=idle.closed)
            resting.start()
            while resting.is_alive():
                self.assertEqual(busy.set("k", b"2"), "STORED")
                time.sleep(0.02)
            self.assertEqual(busy.get("k"), b"2")
        with self.assertRaisesRegex(Refused, "drained"):
            control.run(slave, "switchover")
        control.run(master, "undrain")
        eventually(lambda: master.role() == "SLAVE", 5, "clients are taken again")
        control.run(slave, "switchover")
        wait_in_sync(master, slave)
        self.assertEqual(master.role(), "MASTER")
        slave.kill_and_wait()
        eventually(lambda: master.replication()["link"] == "down", 5, "it notices")
        with self.assertRaisesRegex(Refused, "drain force"):
            control.run(master, "drain")
        control.run(master, "drain force")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--switchovers", type=int, default=5)
    parser.parse_args(namespace=settings)
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(argv=sys.argv[:1], verbosity=2)
