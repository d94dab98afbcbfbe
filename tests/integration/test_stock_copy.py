"""What a running memcached holds is copied to the peer's while clients write: values, flags and
times to live are the same there.

  test_stock_copy.py [--items N]
"""

import argparse
import sys
import time
import unittest

from harness import SLOWDOWN, eventually, load_result, run_load, wait_in_sync
from stock import StockTest

LOAD_KEYS = 5000
SETS_PER_SECOND = 2000
BATCH = 500
TTL_SLACK = 1  # seconds
# Parts of a second at which the memcacheds of pairs are started: their ticks are as far apart.
# What is written just when a memcached's second goes on may be taken for the second before or after.
NEAR_TICKS = 0.05 * SLOWDOWN
OFFSETS = ((0.02, 0.92), (0.92, 0.02), (0.3, 0.8), (0.55, 0.45))

settings = argparse.Namespace(items=20000)


def item(i):
    """(flags, exptime, value) of the item with that number."""
    exptime = 0 if i % 3 == 0 else 1000 + i % 5000 if i % 3 == 1 else 40 * 86400 + i
    return i * 7919 % 2**32, exptime, (b"%d:" % i) * (1 + i % 20)


def fill(client, count):
    now = int(time.time())
    for start in range(0, count, BATCH):
        out = []
        for i in range(start, min(start + BATCH, count)):
            flags, exptime, value = item(i)
            if exptime > 30 * 86400:
                exptime += now
            out.append(b"set old:%d %d %d %d noreply\r\n%s\r\n" % (
                i, flags, exptime, len(value), value))
        client.send(b"".join(out))
    client.command("mn")


def look(client, keys):
    """{key: (flags, ttl, value)} by the memcached itself, the time it took to ask allowed for."""
    found = {}
    for start in range(0, len(keys), BATCH):
        some = keys[start:start + BATCH]
        client.send(b"".join(b"mg %s f t v\r\n" % key.encode() for key in some))
        for key in some:
            words = client.line().split()
            if words[0] != "VA":
                continue
            words, size = words[2:], int(words[1])
            flags, ttl = int(words[0][1:]), int(words[1][1:])
            found[key] = (flags, ttl, client.exactly(size + 2)[:-2])
    return found


class StockCopy(StockTest):
    def differences(self, first, second, keys, slack=TTL_SLACK):
        """Between two memcacheds; the first is asked before and after the second for times to live."""
        wrong, same = [], 0
        with first.client() as one, second.client() as other:
            for start in range(0, len(keys), BATCH):
                some = keys[start:start + BATCH]
                before, there, after = look(one, some), look(other, some), look(one, some)
                for key in some:
                    a, b, c = before.get(key), there.get(key), after.get(key)
                    if not a or not b or not c or (a[0], a[2]) != (b[0], b[2]) or \
                            not c[1] - slack <= b[1] <= a[1] + slack:
                        wrong.append(f"{key}: {a}, there {b}, {c}")
                    else:
                        same += 1
        return wrong, same

    def started_at(self, offset):
        """A memcached that is started at that part of a second."""
        time.sleep((offset - time.time()) % 1)
        return self.memcached().start()

    def test_a_full_memcached_is_copied_under_load(self):
        count = settings.items
        memory = 64 + count // 2000
        backend = self.memcached(memory_mib=memory).start()
        with backend.client() as client:
            fill(client, count)
        began = time.monotonic()
        master = self.stock_node("a", backend=backend, memory_mib=memory).start(seconds=60)
        listed = time.monotonic() - began
        load = run_load(master, "--keys", LOAD_KEYS, "--rate", SETS_PER_SECOND, "--set-ratio", 0.8)
        began = time.monotonic()
        slave = self.stock_node("b", backend=self.memcached(memory_mib=memory).start(),
                                memory_mib=memory).start(peer=master, seconds=120)
        took = time.monotonic() - began
        load.terminate()
        result, errors = load_result(load)
        self.assertEqual((result["errors"], errors), (0, ""))
        wait_in_sync(master, slave, 30)
        wrong, same = self.differences(backend, slave.backend, [f"old:{i}" for i in range(count)])
        self.assertEqual(wrong, [], "\n".join(wrong[:20]))
        self.assertEqual(same, count)
        for i in range(0, count, 997):
            flags, _, value = item(i)
            with self.subTest(i=i), slave.client() as client:
                self.assertEqual(client.gets(f"old:{i}")[f"old:{i}"][:2], (flags, value))
        wrong, same = self.differences(backend, slave.backend,
                                       [f"load:{i}" for i in range(LOAD_KEYS)])
        wrong = [text for text in wrong if not text.endswith("None, there None, None")]
        self.assertEqual(wrong, [], "\n".join(wrong[:20]))
        self.assertGreater(same, 0)
        print(f"\n  {count} items listed in {listed:.2f} s and copied in {took:.2f} s under "
              f"{result['ops_per_s']:.0f} requests/s, p99 {result['p99_us']:.0f} us")
        eventually(lambda: slave.role() == "SLAVE", 5, "it is slave")

    def test_times_to_live_whatever_the_ticks_of_the_memcacheds(self):
        count = 2000
        pairs = []
        for number, offsets in enumerate(OFFSETS):
            first, second = (self.started_at(offset) for offset in offsets)
            with first.client() as client:
                fill(client, count)
            master = self.stock_node(f"a{number}", backend=first).start(wait=False)
            slave = self.stock_node(f"b{number}", backend=second)
            pairs.append((offsets, master, slave))
        for _, master, slave in pairs:
            master.wait_serving()
            slave.start(peer=master, wait=False)
        for offsets, master, slave in pairs:
            slave.wait_serving()
            wait_in_sync(master, slave, 30)
            with self.subTest(offsets=offsets):
                wrong, same = self.differences(master.backend, slave.backend,
                                               [f"old:{i}" for i in range(count)])
                self.assertEqual(wrong, [], f"{len(wrong)} wrong:\n" + "\n".join(wrong[:20]))
                self.assertEqual(same, count)
        # And of what is written now, through both nodes, over more than a tick.
        for turn in range(150):
            for _, master, slave in pairs:
                for node, name in ((master, "m"), (slave, "s")):
                    with node.client() as client:
                        self.assertEqual(client.command(
                            f"set {name}:{turn} 0 {100 + turn} 1\r\nx"), "STORED")
        for offsets, master, slave in pairs:
            wait_in_sync(master, slave, 30)
            with self.subTest(written=offsets):
                keys = [f"{n}:{i}" for i in range(150) for n in "ms"]
                wrong, _ = self.differences(master.backend, slave.backend, keys)
                self.assertLess(len(wrong), NEAR_TICKS * len(keys), "\n".join(wrong[:20]))
                wrong, _ = self.differences(master.backend, slave.backend, keys, TTL_SLACK + 1)
                self.assertEqual(wrong, [], "\n".join(wrong[:20]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--items", type=int, default=settings.items)
    _, rest = parser.parse_known_args(namespace=settings)
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
