"""Every mutation reaches the other node, whichever command made it, and means the same there."""

import time

from harness import PairTest, differences, eventually, main, wait_in_sync


class Mirror(PairTest):
    def setUp(self):
        super().setUp()
        self.master, self.slave = self.pair()
        self.at_master = self.master.client()
        self.at_slave = self.slave.client()
        self.addCleanup(self.at_master.close)
        self.addCleanup(self.at_slave.close)

    def assert_reaches(self, client, key, value, flags=None):
        """`value` (None: a miss) is read through `client` within a second."""
        def there():
            found = client.gets(key).get(key)
            if found is None or value is None:
                return found is None and value is None
            return found[1] == value and flags in (None, found[0])
        eventually(there, 1, lambda: f"{key} is {value!r}, it is {client.gets(key)}")

    def both_ways(self):
        """(accepting client, reading client) in both directions."""
        return ((self.at_master, self.at_slave), (self.at_slave, self.at_master))

    def test_every_mutating_command(self):
        for number, (here, there) in enumerate(self.both_ways()):
            key = f"k{number}"
            self.assertEqual(here.set(key, b"one", flags=7), "STORED")
            self.assert_reaches(there, key, b"one", flags=7)
            self.assertEqual(here.store("add", key, b"no"), "NOT_STORED")
            self.assertEqual(here.store("add", key + "a", b"added", flags=4294967295), "STORED")
            self.assert_reaches(there, key + "a", b"added", flags=4294967295)
            self.assertEqual(here.store("replace", key, b"two", flags=8), "STORED")
            self.assert_reaches(there, key, b"two", flags=8)
            self.assertEqual(here.store("append", key, b">"), "STORED")
            self.assertEqual(here.store("prepend", key, b"<"), "STORED")
            self.assert_reaches(there, key, b"<two>", flags=8)
            cas = here.gets(key)[key][2]
            self.assertEqual(here.store("cas", key, b"10", flags=9, cas=cas), "STORED")
            self.assert_reaches(there, key, b"10", flags=9)
            self.assertEqual(here.store("cas", key, b"11", cas=cas), "EXISTS")
            self.assertEqual(here.command(f"incr {key} 5"), "15")
            self.assert_reaches(there, key, b"15", flags=9)
            self.assertEqual(here.command(f"decr {key} 6"), "9")
            self.assert_reaches(there, key, b"9 ", flags=9)
            self.assertEqual(here.command(f"delete {key}"), "DELETED")
            self.assert_reaches(there, key, None)

    def test_the_silent_forms(self):
        for number, (here, there) in enumerate(self.both_ways()):
            key = f"quiet{number}"
            here.store_noreply("set", key, b"1", flags=3)
            self.assert_reaches(there, key, b"1", flags=3)
            here.store_noreply("add", key + "a", b"x")
            here.store_noreply("append", key + "a", b"y")
            here.store_noreply("prepend", key + "a", b"w")
            self.assert_reaches(there, key + "a", b"wxy")
            here.store_noreply("replace", key, b"20")
            here.send(f"incr {key} 3 noreply\r\ndecr {key} 1 noreply\r\n".encode())
            self.assert_reaches(there, key, b"22")
            cas = there.gets(key)[key][2]
            here.store_noreply("cas", key, b"swapped", cas=cas)
            self.assert_reaches(there, key, b"swapped")
            here.send(f"touch {key} -1 noreply\r\n".encode())
            self.assert_reaches(there, key, None)
            here.send(f"delete {key}a noreply\r\n".encode())
            self.assert_reaches(there, key + "a", None)
            self.assertEqual(here.set(key, b"again"), "STORED")
            self.assert_reaches(there, key, b"again")
            here.send(b"flush_all noreply\r\n")
            self.assert_reaches(there, key, None)

    def test_touch_and_gat_change_the_expiry_on_both(self):
        for number, (here, there) in enumerate(self.both_ways()):
            touched, got = f"touched{number}", f"got{number}"
            for key in (touched, got):
                self.assertEqual(here.set(key, b"v", exptime=100), "STORED")
                self.assert_reaches(there, key, b"v")
            before = there.gets(touched, got)
            self.assertEqual(here.command(f"touch {touched} -1"), "TOUCHED")
            self.assertEqual(here.gat(-1, got)[got][1], b"v")
            self.assert_reaches(there, touched, None)
            self.assert_reaches(there, got, None)
            # A touch that leaves it alive changes no CAS unique, on either node.
            self.assertEqual(here.set(touched, b"w", exptime=100), "STORED")
            self.assert_reaches(there, touched, b"w")
            before = there.gets(touched)
            self.assertEqual(here.command(f"touch {touched} 200"), "TOUCHED")
            wait_in_sync(self.master, self.slave)
            self.assertEqual(there.gets(touched), before)
            self.assertEqual(here.gets(touched), before)

    def test_an_expiry_counts_on_both_nodes_from_the_same_moment(self):
        for key, exptime in (("relative", 2), ("absolute", int(time.time()) + 2)):
            self.assertEqual(self.at_master.set(key, b"v", exptime=exptime), "STORED")
            self.assert_reaches(self.at_slave, key, b"v")
        gone = {}

        def both_gone():
            for name, client in (("master", self.at_master), ("slave", self.at_slave)):
                if name not in gone and not client.gets("relative", "absolute"):
                    gone[name] = time.monotonic()
            return len(gone) == 2
        eventually(both_gone, 5, "both keys expire on both nodes")
        apart = abs(gone["master"] - gone["slave"])
        print(f"\n  gone {1000 * apart:.0f} ms apart")
        self.assertLess(apart, 1.1)

    def test_flush_all_now(self):
        for number, (here, there) in enumerate(self.both_ways()):
            keys = [f"f{number}:{i}" for i in range(100)]
            here.set_many({key: b"v" for key in keys})
            self.assert_reaches(there, keys[-1], b"v")
            self.assertEqual(here.command("flush_all"), "OK")
            self.assertEqual(here.set("survivor", b"set right behind it"), "STORED")
            self.assert_reaches(there, "survivor", b"set right behind it")
            self.assertEqual(here.gets(*keys), {})
            eventually(lambda c=there, k=keys: not c.gets(*k), 1, "flushed on the other node")
            self.assertEqual(here.get("survivor"), b"set right behind it")

    def test_flush_all_with_a_delay(self):
        self.assertEqual(self.at_master.set("k", b"v"), "STORED")
        self.assert_reaches(self.at_slave, "k", b"v")
        self.assertEqual(self.at_master.command("flush_all 2"), "OK")
        wait_in_sync(self.master, self.slave)
        self.assertEqual(self.at_slave.get("k"), b"v")
        self.assertEqual(self.at_master.get("k"), b"v")
        eventually(lambda: self.at_master.get("k") is None, 4, "flushed where it was asked")
        eventually(lambda: self.at_slave.get("k") is None, 2, "flushed on the other node")
        self.assertEqual(self.at_slave.set("k", b"new"), "STORED")
        self.assert_reaches(self.at_master, "k", b"new")

    def test_a_cas_token_of_one_node_works_on_the_other(self):
        for number, (here, there) in enumerate(self.both_ways()):
            key = f"cas{number}"
            self.assertEqual(here.set(key, b"1"), "STORED")
            self.assert_reaches(there, key, b"1")
            cas = here.gets(key)[key][2]
            self.assertEqual(there.gets(key)[key][2], cas)
            self.assertEqual(there.store("cas", key, b"2", cas=cas), "STORED")
            self.assert_reaches(here, key, b"2")
            self.assertEqual(here.store("cas", key, b"3", cas=cas), "EXISTS")
            self.assertGreater(here.gets(key)[key][2], cas)

    def test_a_cas_token_survives_a_failover(self):
        self.assertEqual(self.at_master.set("k", b"1"), "STORED")
        cas = self.at_master.gets("k")["k"][2]
        self.assert_reaches(self.at_slave, "k", b"1")
        self.master.kill_and_wait()
        self.slave.wait_role("MASTER")
        self.assertEqual(self.at_slave.store("cas", "k", b"2", cas=cas), "STORED")
        self.assertEqual(self.at_slave.store("cas", "k", b"3", cas=cas), "EXISTS")

    def test_keys_and_values_of_every_size(self):
        values = {"k" * 250: b"", "\x01odd\xff": bytes(range(256)), "crlf": b"\r\n" * 9,
                  "big": b"x" * (1 << 20 - 1), "just": b"y" * 1048300}
        for key, value in values.items():
            self.assertEqual(self.at_master.set(key, value), "STORED")
        for key, value in values.items():
            self.assert_reaches(self.at_slave, key, value)
        self.assertEqual(self.at_master.set("crlf", b"z" * (1 << 20)),
                         "SERVER_ERROR object too large for cache")
        self.assert_reaches(self.at_slave, "crlf", None)  # a refused set removes the old value

    def test_two_nodes_writing_the_same_keys_end_equal(self):
        keys = [f"shared{i}" for i in range(50)]
        for turn in range(100):
            for name, client in (("m", self.at_master), ("s", self.at_slave)):
                replies = client.set_many({key: f"{name}{turn}".encode() for key in keys})
                self.assertEqual(set(replies), {"STORED"})
        wait_in_sync(self.master, self.slave)
        self.assertEqual(differences(self.master, self.slave, keys), [])


class LargeValues(PairTest):
    def test_20_mb(self):
        master, slave = self.pair(memory_mib=1024, flags=["-I", "64m"])
        value = bytes(range(256)) * (20 * 4096)
        with master.client(20) as here, slave.client(20) as there:
            self.assertEqual(here.set("large", value), "STORED")
            eventually(lambda: there.get("large") == value, 10, "the large value is on the slave")
            self.assertEqual(there.gets("large"), here.gets("large"))
            self.assertEqual(there.store("append", "large", b"tail"), "STORED")
            eventually(lambda: here.get("large") == value + b"tail", 10, "the change comes back")
        # And to a newcomer, by the copy.
        slave.kill_and_wait()
        slave.start(peer=master, seconds=20)
        with slave.client(20) as there:
            self.assertEqual(there.get("large"), value + b"tail")


if __name__ == "__main__":
    main()
