"""The memcached behind one node of a pair is killed and started again under load, or hangs and goes
on with the data that it had, round after round: it is filled from the peer each time, and clients
see nothing stale.

Writers store rising numbers and delete, at the node that keeps its memcached, and read on both.
Nothing that the other node ever showed is followed there by something older, a miss included, but
for a delete; no request takes longer than a client waits. At the end of each round both memcacheds
hold the same.

  test_stock_restart.py [--rounds N]
"""

import argparse
import random
import sys
import threading
import time
import unittest

from client import ConnectionLost, TimedOut
from harness import HOST, SLOWDOWN, Client, eventually, wait_in_sync
from stock import StockTest

WRITERS = 3
KEYS_PER_WRITER = 100
CLIENT_TIMEOUT = 3  # seconds; the memcached is given up after one

settings = argparse.Namespace(rounds=2)


class Writer(threading.Thread):
    """A thread with keys of its own: states of a key are numbers, those of deletes negative."""

    def __init__(self, number, keeps, loses):
        super().__init__(daemon=True)
        self.random = random.Random(number)
        self.keys = [f"w{number}:{i}" for i in range(KEYS_PER_WRITER)]
        self.keeps, self.loses = keeps, loses
        self.clients = {}
        self.sequence = 0
        self.now = dict.fromkeys(self.keys, 0)     # the state at the node that keeps
        self.shown = dict.fromkeys(self.keys, 0)   # the newest that the other one has shown
        self.deleted = {key: [] for key in self.keys}
        self.slowest = 0.0
        self.errors = self.requests = 0
        self.wrong = []
        self.ends = False

    def ask(self, node, call):
        """What the node answers; None while it has nothing to say. A hang is an error."""
        began = time.monotonic()
        try:
            if node not in self.clients:
                self.clients[node] = Client(HOST, node.port, CLIENT_TIMEOUT * SLOWDOWN)
            answer = call(self.clients[node])
            if isinstance(answer, str) and answer.startswith("SERVER_ERROR"):
                raise ConnectionLost(answer)
            self.requests += 1
            return answer
        except TimedOut:
            raise
        except (ConnectionLost, OSError, AssertionError) as error:
            # `gets` tells of an error in its first line as an assertion
            if isinstance(error, AssertionError) and "SERVER_ERROR" not in str(error):
                raise
            self.errors += 1
            self.clients.pop(node).close() if node in self.clients else None
            if node is self.keeps:
                raise AssertionError(f"the node that keeps its memcached: {error}") from error
            time.sleep(0.005)
            return None
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)

    def change(self, key):
        self.sequence += 1
        if self.random.random() < 0.15:
            reply = self.ask(self.keeps, lambda c: c.command(f"delete {key}"))
            self.now[key] = -self.sequence
            self.deleted[key].append(self.sequence)
            if reply not in ("DELETED", "NOT_FOUND"):
                self.wrong.append(f"delete {key}: {reply}")
        else:
            value = b"%d" % self.sequence
            if self.ask(self.keeps, lambda c: c.set(key, value)) != "STORED":
                self.wrong.append(f"set {key}")
            self.now[key] = self.sequence

    def look(self, key):
        got = self.ask(self.keeps, lambda c: c.gets(key))
        value = int(got[key][1]) if got else None
        if value != (self.now[key] if self.now[key] > 0 else None):
            self.wrong.append(f"{key} at the node that keeps: {value}, not {self.now[key]}")

        def first_gets(client):
            client.send(f"gets {key}\r\n".encode())
            line = client.line()
            if line == "END":
                return [None]
            if not line.startswith("VALUE"):
                return line
            value = client.exactly(int(line.split()[3]) + 2)[:-2]
            return [int(value)] if client.line() == "END" else "no end"
        answer = self.ask(self.loses, first_gets)
        if answer is None:
            return
        floor, value = self.shown[key], answer[0]
        if value is None:  # a delete at least as new as what it has shown, or nothing at all yet
            value = next((d for d in self.deleted[key] if d >= floor), None if floor else 0)
        if value is None or value < floor:
            self.wrong.append(f"{key} at the other node: {answer[0]} after {floor}, "
                              f"deleted {self.deleted[key][-3:]}, now {self.now[key]}")
        else:
            self.shown[key] = value

    def run(self):
        try:
            while not self.ends and len(self.wrong) < 5:
                self.change(self.random.choice(self.keys))
                self.look(self.random.choice(self.keys))
        except Exception as error:  # pylint: disable=broad-except
            self.wrong.append(repr(error))


class StockRestart(StockTest):
    def test_a_memcached_that_restarts_under_load(self):
        keeps = self.stock_node("a").start()
        loses = self.stock_node("b").start(peer=keeps)
        wait_in_sync(keeps, loses)
        writers = [Writer(n, keeps, loses) for n in range(WRITERS)]
        for each in writers:
            each.start()
        back = []
        for round_number in range(settings.rounds):
            loses.mark()
            busy = sum(w.requests for w in writers)
            eventually(lambda b=busy: sum(w.requests for w in writers) > b + 300, 10, "load")
            if round_number % 2:
                loses.backend.stop()
                eventually(lambda: loses.stats()["backend"] != "up", 10, "that is noticed")
                busy = sum(w.requests for w in writers)
                eventually(lambda b=busy: sum(w.requests for w in writers) > b + 300, 10, "load")
                began = time.monotonic()
                loses.backend.resume()
            else:
                loses.backend.kill()
                eventually(lambda: loses.stats()["backend"] == "down", 10, "the loss is noticed")
                began = time.monotonic()
                loses.backend.start()
            loses.wait_log("replication: start", 20)
            eventually(lambda: loses.role() == "SLAVE", 10, "it serves again")
            back.append(time.monotonic() - began)
        for each in writers:
            each.ends = True
        for each in writers:
            each.join()
            self.assertEqual(each.wrong, [], "\n".join(each.wrong))
        wait_in_sync(keeps, loses, 20)
        keys = [key for each in writers for key in each.keys]
        held = []
        for node in (keeps, loses):
            with node.backend.client() as client:
                held.append({key: found[:2] for key, found in client.gets(*keys).items()})
        self.assertEqual(held[0], held[1])
        slowest = max(w.slowest for w in writers)
        print(f"\n  {settings.rounds} restarts, {sum(w.requests for w in writers)} requests, "
              f"{sum(w.errors for w in writers)} refused; filled again within "
              f"{max(back):.2f} s, the slowest answer {slowest:.2f} s")
        self.assertLess(slowest, CLIENT_TIMEOUT * SLOWDOWN)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=settings.rounds)
    _, rest = parser.parse_known_args(namespace=settings)
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
