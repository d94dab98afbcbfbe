"""CAS uniques over a failover: what was replicated can be swapped, what was not says EXISTS.

  test_cas_failover.py [--rounds N]    failovers (3)
"""

import argparse
import sys
import threading
import unittest

from client import ConnectionLost
from harness import PairTest, wait_in_sync

KEYS = [f"k{i}" for i in range(200)]

settings = argparse.Namespace(rounds=3)


class Writer(threading.Thread):
    """Writes as fast as it can until its node dies; knows the last CAS unique it was shown."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.client = node.client()
        self.tokens = {}  # key: (CAS unique, value)
        self.started = threading.Event()

    def run(self):
        turn = 0
        try:
            while True:
                for key in KEYS:
                    turn += 1
                    value = f"{turn}".encode()
                    if self.client.set(key, value) != "STORED":
                        return
                    _, shown, cas = self.client.gets(key)[key]
                    assert shown == value, "somebody else writes"
                    self.tokens[key] = (cas, value)
                self.started.set()
        except (OSError, ConnectionLost):
            pass
        finally:
            self.client.close()


class CasFailover(PairTest):
    def test_a_token_of_the_old_master_at_the_new_one(self):
        first, second = self.pair()
        with first.client() as client:
            client.set_many({key: b"first" for key in KEYS})
        wait_in_sync(first, second)
        swapped = refused = 0
        for turn in range(settings.rounds):
            writer = Writer(first)
            writer.start()
            self.assertTrue(writer.started.wait(10))
            first.kill()
            first.wait_dead()
            writer.join(10)
            second.wait_role("MASTER")
            with second.client() as client:
                held = client.gets(*KEYS)
                self.assertEqual(set(held), set(KEYS))
                for key, (cas, value) in writer.tokens.items():
                    reply = client.store("cas", key, f"swapped {turn}".encode(), cas=cas)
                    if held[key][2] == cas:
                        self.assertEqual(reply, "STORED")
                        self.assertEqual(held[key][1], value, "one CAS unique, two values")
                        swapped += 1
                    else:
                        self.assertEqual(reply, "EXISTS")
                        refused += 1
                    # Whatever is there now has another CAS unique, and the old one is worth nothing.
                    self.assertNotEqual(client.gets(key)[key][2], cas)
                    self.assertEqual(client.store("cas", key, b"no", cas=cas), "EXISTS")
            first.start(peer=second)
            wait_in_sync(first, second)
            first, second = second, first
        print(f"\n  {settings.rounds} failovers: {swapped} swapped, {refused} said EXISTS "
              "(they had not been replicated, or a later set had)")
        self.assertGreater(swapped, 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    settings, rest = parser.parse_known_args()
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
