"""Random kill -9, restart, SIGSTOP and SIGCONT of either node under load, round after round.

Writers own their keys: each stores rising numbers, deletes some, and reads on both nodes. What is
checked, per key and per incarnation of a process (told apart by its pid):
  P2  what a node has shown or acknowledged, it never goes back behind; what it has shown as
      deleted does not come back;
  P7  what a living node has acknowledged it keeps (nothing is evicted or expires here);
  P6  two linked nodes never both say MASTER; one term never has two masters;
  P1  at the end of each round, healed and quiet, both nodes hold the same, CAS uniques included;
and no process ends but by our kill, and descriptors, threads and memory stay flat.

A request without an answer from a living node (a stopped one may carry it out when it goes on)
leaves its outcome open: that key is given up for the writer's checks, not for P1.

  test_soak.py [--rounds N] [--seed S]
"""

import argparse
import collections
import random
import signal
import statistics
import sys
import threading
import time
import unittest

from client import ConnectionLost, TimedOut
from harness import (HOST, SLOWDOWN, Client, PairTest, differences, eventually, wait_in_sync)

WRITERS = 4
KEYS_PER_WRITER = 60
CLIENT_TIMEOUT = 0.4  # seconds; a stopped node is noticed after that

settings = argparse.Namespace(rounds=10, seed=0)


class Incarnation:
    """A connection to one life of a node, told apart by the process id it reports."""

    def __init__(self, node):
        self.node = node
        self.client = Client(HOST, node.port, CLIENT_TIMEOUT * SLOWDOWN)
        try:
            self.name = (node.name, int(self.client.stats()["pid"]))
        except (ConnectionLost, OSError):
            self.client.close()
            raise

    def close(self):
        self.client.close()


class Writer(threading.Thread):
    """Writes rising numbers to its own keys on either node and checks what it reads."""

    def __init__(self, number, nodes, seed):
        super().__init__(daemon=True, name=f"writer{number}")
        self.number = number
        self.nodes = nodes
        self.random = random.Random(seed)
        self.generation = [0] * KEYS_PER_WRITER  # a given-up key goes on under a new name
        self.sequence = 0
        self.shown = {}      # (incarnation, key): the number it last showed; None: a miss
        self.floor = {}      # (incarnation, key): the least number it may still show
        self.kept = {}       # key: (incarnation, number), the last acknowledged set
        self.history = {}    # key: its last events, told with a violation
        self.connections = {}
        self.given_up = []
        self.violations = []
        self.acknowledged = 0
        self.failed = 0
        self.running = threading.Event()
        self.idle = threading.Event()
        self.ended = False

    # ---- driven by the test

    def pause(self):
        self.running.clear()
        if not self.idle.wait(20 * SLOWDOWN):
            raise AssertionError(f"{self.name} does not pause")

    def go_on(self):
        self.idle.clear()
        self.running.set()

    def end(self):
        self.ended = True
        self.running.set()

    def keys(self):
        return [self.key(slot) for slot in range(KEYS_PER_WRITER)] + self.given_up

    # ---- the thread

    def key(self, slot):
        return f"w{self.number}:{slot}:{self.generation[slot]}"

    def run(self):
        while not self.ended:
            if not self.running.is_set():
                self.idle.set()
                self.running.wait()
                continue
            try:
                self.turn()
            except Exception as error:  # a defect of the test or a reply never seen before
                self.violations.append(f"{self.name}: {type(error).__name__}: {error}")
                self.idle.set()
                raise

    def connection(self, node):
        if node.name not in self.connections:
            self.connections[node.name] = Incarnation(node)
        return self.connections[node.name]

    def drop(self, node):
        gone = self.connections.pop(node.name, None)
        if gone:
            gone.close()

    def turn(self):
        node = self.random.choice(self.nodes)
        slots = self.random.sample(range(KEYS_PER_WRITER), 8)
        changing = []
        try:
            at = self.connection(node)
            dice = self.random.random()
            if dice < 0.55:
                changing = slots
                self.store(at, slots)
            elif dice < 0.62:
                changing = slots[:2]
                self.delete(at, slots[:2])
            else:
                self.read(at, slots)
        except TimedOut:
            self.failed += 1
            for slot in changing:
                self.give_up(slot)
            self.drop(node)
        except (ConnectionLost, OSError):
            # Closed, so it is not carried out later; it may have been, with this number.
            self.failed += 1
            for slot in changing:
                self.kept.pop(self.key(slot), None)
                self.note(self.key(slot), f"no answer from {node.name}, closed")
            self.drop(node)
            time.sleep(0.005)  # a node that is down: ask again a little later

    def note(self, key, text):
        events = self.history.setdefault(key, collections.deque(maxlen=12))
        events.append(f"{time.time():.6f} {text}")

    def violation(self, key, text):
        self.violations.append("\n    ".join([text, *self.history.get(key, [])]))

    def give_up(self, slot):
        self.given_up.append(self.key(slot))
        self.kept.pop(self.key(slot), None)
        self.generation[slot] += 1

    def store(self, at, slots):
        self.sequence += 1
        replies = at.client.set_many(
            {self.key(slot): str(self.sequence).encode() for slot in slots})
        if set(replies) != {"STORED"}:
            raise AssertionError(f"{at.name} answered {replies}")
        for slot in slots:
            self.saw(at.name, self.key(slot), self.sequence)
            self.kept[self.key(slot)] = (at.name, self.sequence)
            self.note(self.key(slot), f"{at.name} stored {self.sequence}")
        self.acknowledged += len(slots)

    def delete(self, at, slots):
        for slot in slots:
            key = self.key(slot)
            reply = at.client.command(f"delete {key}")
            if reply not in ("DELETED", "NOT_FOUND"):
                raise AssertionError(f"{at.name} answered {reply}")
            self.note(key, f"{at.name} {reply} it")
            self.kept.pop(key, None)
            if reply == "DELETED":
                # Whatever was written until now, on either node, is older than the delete.
                self.shown[at.name, key] = None
                self.floor[at.name, key] = self.sequence + 1
            else:  # the delete may still win over a set that has not got here yet
                self.saw(at.name, key, None)

    def read(self, at, slots):
        keys = [self.key(slot) for slot in slots]
        found = at.client.gets(*keys)
        for key in keys:
            self.saw(at.name, key, int(found[key][1]) if key in found else None)

    def saw(self, where, key, number):
        """Checks one observation, a number or a miss, and remembers it."""
        here = (where, key)
        kept_where, kept_number = self.kept.get(key, (None, 0))
        if number != self.shown.get(here):
            self.note(key, f"{where} shows {number}")
        if kept_where == where and (number is None or number < kept_number):
            self.violation(key, f"P7: {where} acknowledged {kept_number} for {key} and shows "
                                f"{number}")
        if number is None:
            before = self.shown.get(here)
            if before is not None:  # it was deleted: what was shown may not return
                self.floor[here] = before + 1
        elif number < self.floor.get(here, 0):
            self.violation(key, f"P2: {where} shows {number} for {key}, the least that may "
                                f"come is {self.floor[here]}")
        else:
            self.floor[here] = number
        self.shown[here] = number


class RoleWatch(threading.Thread):
    """Samples both nodes' roles for two masters: of one term at all, or linked for a while."""

    PATIENCE = 2.0  # seconds: two that never heard of each other start with the same term

    def __init__(self, nodes):
        super().__init__(daemon=True, name="roles")
        self.nodes = nodes
        self.violations = []
        self.samples = 0
        self.ended = False

    def sample(self, node):
        try:
            with Client(HOST, node.port, CLIENT_TIMEOUT * SLOWDOWN) as client:
                return client.stats("replication")
        except (OSError, ConnectionLost):
            return None

    def run(self):
        since = {}
        while not self.ended:
            one, other = (self.sample(node) for node in self.nodes)
            self.samples += 1
            masters = (one and other and one["role"] == other["role"] == "MASTER")
            found = {
                "both say MASTER of one term": masters and one["term"] == other["term"],
                "both are linked and say MASTER":
                    masters and one["link"] == other["link"] == "up",
            }
            for what, is_so in found.items():
                if not is_so:
                    since.pop(what, None)
                elif time.monotonic() - since.setdefault(what, time.monotonic()) > (
                        self.PATIENCE * SLOWDOWN):
                    self.violations.append(f"P6: {what}: {one} {other}")
                    since.pop(what)
            time.sleep(0.02)  # a sampling rate


class Soak(PairTest):
    def test_rounds_of_faults(self):
        seed = settings.seed or random.SystemRandom().randrange(1, 1 << 31)
        print(f"\n  {settings.rounds} rounds, seed {seed}")
        self.random = random.Random(seed)
        first, second = self.node("a"), self.node("b")
        self.pair_nodes = [first, second]
        first.start(peer=second, wait=False)
        second.start(peer=first, wait=False)
        wait_in_sync(first, second)
        self.writers = [Writer(i, self.pair_nodes, seed + i) for i in range(WRITERS)]
        watch = RoleWatch(self.pair_nodes)
        for thread in [*self.writers, watch]:
            thread.start()
        counts, figures = {}, []
        try:
            for number in range(settings.rounds):
                for writer in self.writers:
                    writer.go_on()
                self.run_load_for(0.3)
                for _ in range(self.random.randrange(1, 4)):
                    fault = self.random.choice(
                        [self.kill_restart, self.kill_restart, self.stop_resume,
                         self.stop_long, self.kill_stopped, self.term_restart])
                    counts[fault.__name__] = counts.get(fault.__name__, 0) + 1
                    fault(self.random.choice(self.pair_nodes))
                self.heal_and_compare(number, watch)
                figures.append([(node.process.descriptors(), node.process.threads(),
                                 node.process.rss_bytes() >> 20) for node in self.pair_nodes])
        finally:
            watch.ended = True
            for writer in self.writers:
                writer.end()
        self.report(counts, figures, watch)

    # ---- faults

    def run_load_for(self, seconds):
        """Lets the writers write; the one place where time itself is the condition."""
        time.sleep(seconds)

    def other(self, node):
        return self.pair_nodes[1 - self.pair_nodes.index(node)]

    def restart(self, node):
        node.start(peer=self.other(node), wait=False)

    def kill_restart(self, node):
        if not node.running():
            return self.restart(node)
        node.kill_and_wait()
        self.run_load_for(self.random.choice([0, 0.05, 0.3, 1.2]))
        self.restart(node)
        return self.run_load_for(self.random.choice([0, 0.1, 0.6]))

    def term_restart(self, node):
        if not node.log():  # not yet at the point where it listens to signals
            node.process.signal(signal.SIGCONT)
            node.wait_log(".", 5)
        status = node.terminate()
        self.assertEqual(status, 0, node.log()[-2000:])
        self.restart(node)
        self.run_load_for(self.random.choice([0, 0.5]))

    def stop_resume(self, node):
        """Shorter than the dead time: nothing should come of it."""
        node.stop()
        self.run_load_for(self.random.uniform(0.05, 0.7))
        node.resume()

    def stop_long(self, node):
        """Longer than the dead time: two masters for a moment, then one again."""
        node.stop()
        self.run_load_for(self.random.uniform(1.2, 2.0))
        node.resume()
        self.run_load_for(self.random.choice([0, 0.2]))

    def kill_stopped(self, node):
        node.stop()
        self.run_load_for(self.random.uniform(0.1, 1.5))
        node.kill_and_wait()
        self.restart(node)

    # ---- checks

    def heal_and_compare(self, number, watch):
        for node in self.pair_nodes:
            if not node.running():
                self.restart(node)
            node.resume()
        self.run_load_for(0.2)
        for writer in self.writers:
            writer.pause()
        wait_in_sync(*self.pair_nodes, seconds=15)
        found = list(watch.violations)
        for writer in self.writers:
            found += writer.violations
            # Late requests of a stopped node may still be on their way: wait for equality.
            eventually(lambda w=writer: not differences(*self.pair_nodes, w.keys()), 3,
                       lambda w=writer: "P1: both nodes hold the same: " + "; ".join(
                           differences(*self.pair_nodes, w.keys())[:5]))
            writer.given_up.clear()
        logs = "\n".join(f"{node.name} logged:\n{node.log(whole=True)[-4000:]}"
                         for node in self.pair_nodes) if found else ""
        self.assertEqual(found, [], "\n".join([f"round {number}", *found, logs]))
        for node in self.pair_nodes:
            self.assertTrue(node.running(), node.log()[-3000:])

    def report(self, counts, figures, watch):
        acknowledged = sum(writer.acknowledged for writer in self.writers)
        failed = sum(writer.failed for writer in self.writers)
        print(f"  faults {counts}; {acknowledged} sets acknowledged, {failed} requests failed, "
              f"{watch.samples} role samples")
        self.assertGreater(acknowledged, 100 * settings.rounds)
        self.assertGreater(watch.samples, settings.rounds)
        for column, what, slack in ((0, "descriptors", 8), (1, "threads", 0), (2, "MiB", 24 * SLOWDOWN)):
            values = [max(pair[0][column], pair[1][column]) for pair in figures]
            start = statistics.median(values[:5])
            end = statistics.median(values[-5:])
            print(f"  {what}: {start} in the first rounds, {end} in the last, {max(values)} at most")
            self.assertLessEqual(end, start + slack, f"{what} are not flat: {values}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="0: a new one, printed")
    parser.parse_args(namespace=settings)
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(argv=sys.argv[:1], verbosity=2)
