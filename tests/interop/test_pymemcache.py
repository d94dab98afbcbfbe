"""A real client library against a pair: pymemcache, on the master and on the slave."""

import time

from harness import HOST, PairTest, eventually, main
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError
from pymemcache.serde import pickle_serde


class Pymemcache(PairTest):
    def setUp(self):
        super().setUp()
        self.master, self.slave = self.pair()

    def connect(self, node, **options):
        client = Client((HOST, node.port), timeout=5, connect_timeout=5, **options)
        self.addCleanup(client.close)
        return client

    def test_every_method(self):
        for node in (self.master, self.slave):
            with self.subTest(node=node.name):
                self.exercise(self.connect(node, default_noreply=False))

    def exercise(self, client):
        self.assertTrue(client.flush_all())
        self.assertTrue(client.set("k", b"v"))
        self.assertEqual(client.get("k"), b"v")
        self.assertIsNone(client.get("missing"))
        self.assertEqual(client.get("missing", "other"), "other")
        self.assertFalse(client.add("k", b"x"))
        self.assertTrue(client.add("k2", b"x"))
        self.assertTrue(client.replace("k2", b"y"))
        self.assertFalse(client.replace("k3", b"y"))
        self.assertTrue(client.append("k2", b"z"))
        self.assertTrue(client.prepend("k2", b"x"))
        self.assertEqual(client.get("k2"), b"xyz")
        self.assertEqual(client.set_many({f"m{i}": str(i) for i in range(100)}), [])
        self.assertEqual(client.get_many([f"m{i}" for i in range(101)]),
                         {f"m{i}": str(i).encode() for i in range(100)})
        value, cas = client.gets("k")
        self.assertEqual(value, b"v")
        self.assertTrue(client.cas("k", b"w", cas))
        self.assertFalse(client.cas("k", b"q", cas))
        self.assertIsNone(client.cas("missing", b"q", cas))
        self.assertEqual(len(client.gets_many(["k", "k2", "none"])), 2)
        self.assertTrue(client.set("n", "10"))
        self.assertEqual(client.incr("n", 5), 15)
        self.assertEqual(client.decr("n", 20), 0)
        self.assertIsNone(client.incr("missing", 1))
        self.assertTrue(client.touch("n", 100))
        self.assertFalse(client.touch("missing", 100))
        self.assertTrue(client.delete("n"))
        self.assertFalse(client.delete("n"))
        self.assertTrue(client.delete_many(["k", "k2"]))
        self.assertRegex(client.version(), rb"^\d+\.\d+\.\d+")
        stats = client.stats()
        self.assertGreater(stats[b"cmd_get"], 0)
        self.assertIn(b"replication", stats)
        self.assertIn(b"maxbytes", client.stats("settings"))
        self.assertTrue(client.set("gone", b"v", expire=1))
        eventually(lambda: client.get("gone") is None, 3, "it expires")
        self.assertRaises(MemcacheServerError, client.set, "large", b"x" * (2 << 20))
        self.assertRaises(MemcacheClientError, client.incr, "m", "x")
        self.assertTrue(client.set("k", b"still in step"))
        self.assertEqual(client.get("k"), b"still in step")

    def test_sizes_and_bytes(self):
        """A long key, a large value and bytes of every kind are the same on the other node."""
        values = {"k" * 250: b"long", "binary": bytes(range(256)) + b"\r\nEND\r\n\0",
                  "large": b"x" * ((1 << 20) - 1024), "empty": b""}
        here = self.connect(self.master, default_noreply=False)
        there = self.connect(self.slave)
        for key, value in values.items():
            self.assertTrue(here.set(key, value))
        self.assertEqual(here.get_many(list(values)), values)
        eventually(lambda: there.get_many(list(values)) == values, 5, "the other node has them")

    def test_silent_stores(self):
        client = self.connect(self.master, default_noreply=True)
        for i in range(1000):
            client.set(f"q{i}", str(i))
        self.assertEqual(client.get("q999"), b"999")
        other = self.connect(self.slave)
        eventually(lambda: other.get("q999") == b"999", 2, "the other node has it")

    def test_pickled_objects_through_the_twin(self):
        here = self.connect(self.master, serde=pickle_serde)
        there = self.connect(self.slave, serde=pickle_serde)
        thing = {"list": [1, 2.5, None], "text": "snowman \u2603", "bytes": b"\0\r\n"}
        here.set("thing", thing, noreply=False)
        eventually(lambda: there.get("thing") == thing, 2, "the object is on the other node")

    def test_a_pool_with_both_nodes_goes_on_when_one_dies(self):
        pool = HashClient([(HOST, self.master.port), (HOST, self.slave.port)], timeout=2,
                          connect_timeout=2, retry_attempts=0, dead_timeout=60,
                          ignore_exc=False, use_pooling=True)
        keys = [f"h{i}" for i in range(200)]
        for key in keys:
            self.assertTrue(pool.set(key, key, noreply=False))
        self.wait_mirrored(keys)
        self.master.kill_and_wait()
        self.slave.wait_role("MASTER")
        failed, started = 0, time.monotonic()
        for key in keys:
            value = None
            while value is None:
                try:
                    value = pool.get(key)
                except (OSError, MemcacheServerError):
                    failed += 1
            self.assertEqual(value, key.encode())
        print(f"\n  {failed} failed reads among {len(keys)}, "
              f"{1000 * (time.monotonic() - started):.0f} ms for all")
        # One on the connection that died, one to find that there is no other.
        self.assertLessEqual(failed, 2)
        pool.close()

    def wait_mirrored(self, keys):
        for node in (self.master, self.slave):
            client = self.connect(node)
            eventually(lambda c=client: len(c.get_many(keys)) == len(keys), 2,
                       f"{node.name} has all keys")

    def test_pooled_connections(self):
        pool = PooledClient((HOST, self.master.port), max_pool_size=4, timeout=5)
        for i in range(100):
            self.assertTrue(pool.set(f"p{i}", b"v", noreply=False))
        self.assertEqual(len(pool.get_many([f"p{i}" for i in range(100)])), 100)
        pool.close()


if __name__ == "__main__":
    main()
