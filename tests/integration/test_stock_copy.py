"""What a running memcached holds is copied to the peer's while clients write: values, flags and
times to live are the same there.

  test_stock_copy.py [--items N]
"""

import argparse
import sys
import time
import unittest

from harness import eventually, load_result, run_load, wait_in_sync
from stock import StockTest

LOAD_KEYS = 5000
SETS_PER_SECOND = 2000
BATCH = 500
# Two clocks of whole seconds tick at different moments: what differs by less than two seconds may
# show as two, but does so seldom.
TTL_SLACK = 1  # seconds
TTL_SLACK_MAX = 2
OFTEN = 0.99

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
    def differences(self, first, second, keys):
        """Between two memcacheds, asked key by key at once so that times to live compare."""
        wrong, same, near = [], 0, 0
        with first.client() as one, second.client() as other:
            for start in range(0, len(keys), BATCH):
                some = keys[start:start + BATCH]
                here, there = look(one, some), look(other, some)
                for key in some:
                    a, b = here.get(key), there.get(key)
                    if not a or not b or (a[0], a[2]) != (b[0], b[2]) or \
                            abs(a[1] - b[1]) > TTL_SLACK_MAX:
                        wrong.append(f"{key}: {a}, there {b}")
                        continue
                    same += 1
                    near += abs(a[1] - b[1]) <= TTL_SLACK
        self.assertGreaterEqual(near, OFTEN * same, "times to live within a second")
        return wrong, same

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
        wrong = [text for text in wrong if not text.endswith("None, there None")]
        self.assertEqual(wrong, [], "\n".join(wrong[:20]))
        self.assertGreater(same, 0)
        print(f"\n  {count} items listed in {listed:.2f} s and copied in {took:.2f} s under "
              f"{result['ops_per_s']:.0f} requests/s, p99 {result['p99_us']:.0f} us")
        eventually(lambda: slave.role() == "SLAVE", 5, "it is slave")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--items", type=int, default=settings.items)
    _, rest = parser.parse_known_args(namespace=settings)
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
