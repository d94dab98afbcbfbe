"""When a client is told of its write: replication.ack.

sync: whenever the master is killed, every write that it acknowledged is on the survivor. async: what
is lost is at most the lag that was reported last, and what was acknowledged after that report.
semisync: a peer that is too slow is not waited for, and again once it has caught up.

  test_ack.py [--rounds N]
"""

import argparse
import os
import random
import sys
import threading
import time
import unittest

from client import ConnectionLost
from harness import SLOWDOWN, PairTest, eventually, wait_in_sync

WRITERS = 4
KEYS = 12            # of each writer
ACK_TIMEOUT = 0.3    # seconds

settings = argparse.Namespace(rounds=4)


class Writer(threading.Thread):
    """Writes rising numbers to its own keys, some several times in one pipeline."""

    def __init__(self, number, node, seed):
        super().__init__(daemon=True)
        self.number = number
        self.client = node.client(timeout=20)
        self.random = random.Random(seed)
        self.next = 1
        self.stored = {}       # key: the last number that was answered STORED
        self.acknowledged = 0  # answers STORED
        self.errors = 0
        self.problem = None

    def run(self):
        try:
            while True:
                self.turn()
        except (ConnectionLost, OSError):
            self.client.close()  # the master is gone
        except Exception as error:  # pylint: disable=broad-except
            self.problem = repr(error)

    def turn(self):
        keys = [f"w{self.number}:{self.random.randrange(KEYS)}"
                for _ in range(self.random.choice([1, 1, 4, 20]))]
        numbers = {}
        request = b""
        for key in keys:
            size = self.random.choice([1, 1, 1, 100, 100, 5000, 40000])
            value = b"%d " % self.next + b"v" * size
            request += b"set %s 0 0 %d\r\n%s\r\n" % (key.encode(), len(value), value)
            numbers[len(numbers)] = (key, self.next)
            self.next += 1
        self.client.send(request)
        for key, number in numbers.values():
            reply = self.client.line()
            if reply == "STORED":
                self.stored[key] = number
                self.acknowledged += 1
            elif reply.startswith("SERVER_ERROR"):
                self.errors += 1
            else:
                raise AssertionError(reply)


def number_at(client, key):
    value = client.get(key)
    return int(value.split()[0]) if value else 0


class Ack(PairTest):
    def environment(self, **values):
        for name, value in values.items():
            os.environ[f"MEMTANDEM_REPLICATION_{name.upper()}"] = value
            self.addCleanup(os.environ.pop, f"MEMTANDEM_REPLICATION_{name.upper()}", None)

    def killed_under_load(self, master, slave, watch):
        """Kills the master at a random instant; the writers, and what `watch` saw until then."""
        writers = [Writer(i, master, self.random.random()) for i in range(WRITERS)]
        for writer in writers:
            writer.start()
        until = time.monotonic() + self.random.uniform(0.02, 0.3) * SLOWDOWN
        seen = None
        while time.monotonic() < until:
            seen = watch(writers) or seen
        master.kill_and_wait()
        for writer in writers:
            writer.join(20)
            self.assertIsNone(writer.problem)
        slave.wait_role("MASTER")
        return writers, seen

    def stop(self, node):
        node.stop()
        eventually(node.process.is_stopped, 5, "it has stopped")

    def come_back(self, node, master):
        node.start(peer=master)
        wait_in_sync(node, master)

    def test_sync_loses_nothing_that_was_acknowledged(self):
        self.environment(ack="sync", ack_timeout="5s")
        self.random = random.Random(settings.rounds)
        master, slave = self.pair()
        acknowledged = 0
        for round_number in range(settings.rounds):
            writers, _ = self.killed_under_load(master, slave, lambda w: time.sleep(0.005))
            with slave.client() as client:
                for writer in writers:
                    for key, number in writer.stored.items():
                        self.assertGreaterEqual(
                            number_at(client, key), number,
                            f"round {round_number}: {key} was acknowledged as {number}")
                    self.assertEqual(writer.errors, 0)
                    acknowledged += writer.acknowledged
            self.come_back(master, slave)
            master, slave = slave, master
        print(f"\n  sync: {settings.rounds} masters killed, {acknowledged} acknowledged writes, "
              "none lost")
        self.assertGreater(acknowledged, 20 * settings.rounds)

    def test_async_loses_no_more_than_the_lag(self):
        self.environment(ack="async")
        self.random = random.Random(settings.rounds)
        master, slave = self.pair()
        total, lost_total, allowed_total = 0, 0, 0
        for round_number in range(settings.rounds):
            with master.client() as asking:
                def watch(writers):
                    before = sum(w.acknowledged for w in writers)
                    return before, int(asking.stats("replication")["lag_records"])
                writers, seen = self.killed_under_load(master, slave, watch)
            acknowledged = sum(w.acknowledged for w in writers)
            before, lag = seen
            allowed = lag + acknowledged - before
            lost = 0
            with slave.client() as client:
                for writer in writers:
                    lost += sum(number_at(client, key) < number
                                for key, number in writer.stored.items())
            self.assertLessEqual(lost, allowed, f"round {round_number}")
            total, lost_total = total + acknowledged, lost_total + lost
            allowed_total += allowed
            self.come_back(master, slave)
            master, slave = slave, master
        print(f"\n  async: {settings.rounds} masters killed, {total} acknowledged writes, "
              f"{lost_total} keys lost their last, {allowed_total} by the lag")

    def test_sync_without_a_peer_is_an_error_until_the_peer_is_back(self):
        self.environment(ack="sync", ack_timeout=f"{int(1000 * ACK_TIMEOUT)}ms")
        master, slave = self.pair()
        with master.client() as client:
            started = time.monotonic()
            for i in range(200):
                self.assertEqual(client.set(f"k{i % 10}", b"v"), "STORED")
            per_set = (time.monotonic() - started) / 200
            self.stop(slave)
            started = time.monotonic()
            client.send(b"set k 0 0 1\r\n1\r\nget k\r\nset k 0 0 1 noreply\r\n2\r\n"
                        b"ms k 1 q\r\n3\r\nmn\r\nincr k 1\r\n")
            self.assertTrue(client.line().startswith("SERVER_ERROR"))
            took = time.monotonic() - started
            self.assertGreaterEqual(took, ACK_TIMEOUT)
            self.assertLess(took, 2 * ACK_TIMEOUT * SLOWDOWN)
            self.assertEqual([client.line() for _ in range(3)], ["VALUE k 0 1", "1", "END"])
            self.assertTrue(client.line().startswith("SERVER_ERROR"))
            self.assertEqual(client.line(), "MN")
            self.assertTrue(client.line().startswith("SERVER_ERROR"))
            # When it is known that there is no peer, nobody waits for it any more.
            eventually(lambda: client.stats("replication")["ack_replies"] == "refuse", 5, "refuses")
            started = time.monotonic()
            self.assertTrue(client.set("k", b"9").startswith("SERVER_ERROR"))
            self.assertLess(time.monotonic() - started, ACK_TIMEOUT)
            self.assertEqual(client.get("k"), b"9")
            self.assertEqual(client.stats("replication")["ack_errors"], "4")
            slave.resume()
            eventually(lambda: client.set("k", b"5") == "STORED", 10, "it answers again")
        wait_in_sync(master, slave)
        with slave.client() as client:
            self.assertEqual(client.get("k"), b"5")
        print(f"\n  a set in sync mode took {1000 * per_set:.2f} ms")

    def test_semisync_gives_up_a_slow_peer_and_comes_back(self):
        self.environment(ack="semisync", ack_timeout=f"{int(1000 * ACK_TIMEOUT)}ms")
        master, slave = self.pair()
        with master.client() as client:
            rows = lambda: client.stats("replication")  # noqa: E731
            eventually(lambda: rows()["ack_replies"] == "when_confirmed", 5, "it waits")
            self.assertEqual(rows()["ack_degradations"], "0")
            self.stop(slave)
            started = time.monotonic()
            self.assertEqual(client.set("k", b"1"), "STORED")
            self.assertGreaterEqual(time.monotonic() - started, ACK_TIMEOUT)
            started = time.monotonic()
            self.assertEqual(client.set("k", b"2"), "STORED")
            self.assertLess(time.monotonic() - started, ACK_TIMEOUT)
            self.assertEqual(rows()["ack_replies"], "at_once")
            self.assertEqual(rows()["ack_degradations"], "1")
            slave.resume()
            eventually(lambda: rows()["ack_replies"] == "when_confirmed", 5, "it waits again")
            self.assertEqual(client.set("k", b"3"), "STORED")
            with slave.client() as other:
                self.assertEqual(other.get("k"), b"3")
            # Without a peer it never waits.
            slave.kill_and_wait()
            eventually(lambda: rows()["ack_replies"] == "at_once", 5, "it does not wait")
            self.assertEqual(client.set("k", b"4"), "STORED")
            self.assertEqual(rows()["ack_errors"], "0")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=4, help="masters killed in each mode")
    parser.parse_args(namespace=settings)
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(argv=sys.argv[:1], verbosity=2)
