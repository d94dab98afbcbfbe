"""What was deleted, or overwritten and evicted, during a partition is not seen again after it."""

import time

from harness import contents, main, wait_in_sync
from hosts import HostsTest, need_namespaces


class Resurrection(HostsTest):
    def test_a_delete_during_a_partition_is_not_undone(self):
        pair = self.hosted_pair()
        keys = [f"doomed:{i}" for i in range(400)]
        with pair[0].client() as client:
            client.set_many({key: b"v" for key in keys})
        wait_in_sync(*pair)
        self.cut_until_noticed(pair)
        for node, mine in zip(pair, (keys[:200], keys[100:300])):
            with node.client() as client:
                for key in mine:
                    self.assertEqual(client.command(f"delete {key}"), "DELETED")
        self.cable.heal()
        self.wait_equal(pair, keys)
        for _ in range(5):  # nor later
            for node in pair:
                self.assertEqual(set(contents(node, keys)), set(keys[300:]))
            time.sleep(0.1)

    def test_what_was_overwritten_and_evicted_during_a_partition_is_not_seen_again(self):
        pair = self.hosted_pair(memory_mib=8)
        keys = [f"old:{i}" for i in range(100)]
        with pair[0].client() as client:
            client.set_many({key: b"old" for key in keys})
        wait_in_sync(*pair)
        self.cut_until_noticed(pair)
        with pair[0].client(20) as client:
            client.set_many({key: b"new" for key in keys})
            # Small ones, as the keys are, and each set twice: what is evicted is chosen by size and
            # by use. A memcached makes room among those of the same size only.
            size = 3 if pair[0].behind else 100
            filler = b"".join(
                2 * (b"set filler:%%d:%d 0 0 %d noreply\r\n%b\r\n" % (i, size, b"x" * size))
                for i in range(5000))
            for batch in range(30):  # and none is looked at meanwhile: that would keep it
                client.send(filler.replace(b"%d", b"%d" % batch))
            evicted = [key for key in keys if client.get(key) is None]
        self.assertGreater(len(evicted), 50, "memory was not tight enough")
        self.assertEqual(len(contents(pair[1], keys)), len(keys))
        self.cable.heal()
        wait_in_sync(*pair, 10)
        for _ in range(5):
            for node in pair:
                values = {key: row[1] for key, row in contents(node, keys).items()}
                self.assertEqual({k: v for k, v in values.items() if v != b"new"}, {},
                                 f"{node.name} shows what was overwritten")
            time.sleep(0.1)
        print(f"\n  {len(evicted)} of {len(keys)} overwritten keys were evicted; none came back")


if __name__ == "__main__":
    need_namespaces()
    main()
