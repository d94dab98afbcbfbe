"""Partitions between two real nodes on two hosts, both ways and one way, while both serve.

  test_partition.py [--seconds N]    how long the cable is cut (3; the full experiment: 10)
"""

import argparse
import random
import sys
import threading
import time
import unittest

from client import ConnectionLost
from harness import SLOWDOWN, contents, wait_in_sync
from hosts import HostsTest, need_namespaces

SHARED = [f"shared:{i}" for i in range(1000)]

settings = argparse.Namespace(seconds=3.0)


class Writer(threading.Thread):
    """Stores values that nobody else stores under random shared keys of one node until told to end."""

    def __init__(self, node, seed):
        super().__init__(daemon=True)
        self.node = node
        self.random = random.Random(seed)
        self.stored = {key: set() for key in SHARED}
        self.count = 0
        self.failure = None
        self.ended = threading.Event()

    def run(self):
        try:
            with self.node.client() as client:
                self.write(client)
        except (OSError, ConnectionLost, AssertionError) as error:
            self.failure = error

    def write(self, client):
        while not self.ended.is_set():
            batch = {}
            for key in self.random.sample(SHARED, 20):
                self.count += 1
                batch[key] = f"{self.node.name}:{self.count}".encode()
                self.stored[key].add(batch[key])
            replies = set(client.set_many(batch))
            if replies != {"STORED"}:
                raise AssertionError(f"a set was answered {replies}")

    def end(self):
        self.ended.set()
        self.join()
        if self.failure:
            raise AssertionError(f"the writer at {self.node.name} failed: {self.failure}")


class RoleWatch(threading.Thread):
    """Asks both nodes for role and term all the time."""

    def __init__(self, nodes):
        super().__init__(daemon=True)
        self.nodes = nodes
        self.reigns = {}  # term: the names of its masters
        self.looks = 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            for node in self.nodes:
                try:
                    rows = node.replication()
                except (OSError, ConnectionLost):
                    continue
                self.looks += 1
                if rows["role"] == "MASTER":
                    self.reigns.setdefault(int(rows["term"]), set()).add(node.name)
            time.sleep(0.005)

    def end(self):
        self.ended.set()
        self.join()
        return {term: names for term, names in self.reigns.items() if len(names) > 1}


class Partition(HostsTest):
    def test_both_write_the_same_keys_during_a_partition(self):
        pair = self.hosted_pair()
        with pair[0].client() as client:
            self.assertEqual(set(client.set_many({key: b"before" for key in SHARED})), {"STORED"})
        wait_in_sync(*pair)
        writers = [Writer(node, seed) for seed, node in enumerate(pair)]
        for writer in writers:
            writer.start()
        self.cable.cut()
        time.sleep(settings.seconds)
        for writer in writers:
            writer.end()
        self.assertEqual([node.role() for node in pair], ["MASTER", "MASTER"])
        self.cable.heal()
        took = self.wait_equal(pair, SHARED)
        held = contents(pair[0], SHARED)
        self.assertEqual(len(held), len(SHARED))
        for key, (_, value, _) in held.items():
            known = writers[0].stored[key] | writers[1].stored[key] | {b"before"}
            self.assertIn(value, known, f"{key} holds what nobody wrote")
        wins = [sum(row[1].startswith(node.name.encode()) for row in held.values())
                for node in pair]
        print(f"\n  {settings.seconds:g} s apart, {writers[0].count} + {writers[1].count} sets; "
              f"equal {1000 * took:.0f} ms after healing, {wins[0]} + {wins[1]} keys won")

    def test_one_direction_is_lost(self):
        pair = self.hosted_pair()
        watch = RoleWatch(pair)
        watch.start()
        for number in (0, 1):
            with pair[0].client() as client:
                self.assertEqual(client.set(f"before{number}", b"v"), "STORED")
            self.cut_until_noticed(pair, number)
            for node in pair:
                with node.client() as client:
                    self.assertEqual(client.set(f"during{number}", node.name.encode()), "STORED")
            self.cable.heal()
            took = self.wait_equal(pair, [f"before{number}", f"during{number}"])
            print(f"\n  direction {number} lost: equal {1000 * took:.0f} ms after healing")
        self.assertEqual(watch.end(), {}, "one term had two masters")
        self.assertGreater(watch.looks, 50)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0)
    settings, rest = parser.parse_known_args()
    settings.seconds *= min(SLOWDOWN, 2)
    need_namespaces()
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
