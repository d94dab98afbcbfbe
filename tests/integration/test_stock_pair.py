"""Two nodes with stock memcacheds behind them (cache.engine: memcached), and one with its own
engine: what clients change on either comes to the other, whatever becomes of the memcacheds."""

import time

from harness import eventually, main, wait_in_sync
from stock import StockTest


def value_of(client, key):
    found = client.gets(key).get(key)
    return None if found is None else found[:2]


class StockPair(StockTest):
    def stock_pair(self):
        master = self.stock_node("a").start()
        slave = self.stock_node("b").start(peer=master)
        wait_in_sync(master, slave)
        return master, slave

    def mirrored(self, first, second):
        """Every kind of change on one node is seen on the other, and the other way round."""
        for source, target, tag in ((first, second, "x"), (second, first, "y")):
            with source.client() as at, target.client() as there:
                def send(text):
                    at.send(text.encode())
                    return at.line()
                def seen(key):
                    return value_of(there, key)
                for i in range(50):
                    self.assertEqual(send(f"set {tag}{i} {i} 0 5\r\nv{i:04}\r\n"), "STORED")
                self.assertEqual(send(f"set {tag}large 7 0 300000\r\n" + "z" * 300000 + "\r\n"),
                                 "STORED")
                self.assertEqual(send(f"set {tag}n 0 0 2\r\n41\r\n"), "STORED")
                self.assertEqual(send(f"incr {tag}n 1\r\n"), "42")
                self.assertEqual(send(f"append {tag}0 0 0 1\r\n!\r\n"), "STORED")
                self.assertEqual(send(f"delete {tag}1\r\n"), "DELETED")
                self.assertEqual(send(f"set {tag}ttl 0 0 1\r\nt\r\n"), "STORED")
                self.assertEqual(send(f"touch {tag}ttl 1000\r\n"), "TOUCHED")
                eventually(lambda: seen(f"{tag}n") == (0, b"42"), 10, "incr")
                eventually(lambda: seen(f"{tag}0") == (0, b"v0000!"), 10, "append")
                eventually(lambda: seen(f"{tag}1") is None, 10, "delete")
                eventually(lambda: seen(f"{tag}large") == (7, b"z" * 300000), 10, "large")
                for i in range(2, 50):
                    eventually(lambda: seen(f"{tag}{i}") == (i, b"v%04d" % i), 10, "set")

                def ttl():
                    there.send(f"mg {tag}ttl t\r\n".encode())
                    return there.line()
                eventually(lambda: ttl() in ("HD t1000", "HD t999", "HD t998"), 10,
                           lambda: f"the touch is mirrored: {ttl()}")

    def test_mirror_between_two_memcacheds(self):
        self.mirrored(*self.stock_pair())

    def test_mirror_with_the_embedded_engine(self):
        master = self.node("a").start()
        slave = self.stock_node("b").start(peer=master)
        wait_in_sync(master, slave)
        self.mirrored(master, slave)

    def test_flush_all_is_mirrored(self):
        master, slave = self.stock_pair()
        with master.client() as at, slave.client() as there:
            at.send(b"set k 0 0 1\r\nx\r\n")
            self.assertEqual(at.line(), "STORED")
            eventually(lambda: value_of(there, "k"), 5, "it is there")
            time.sleep(1.1)  # memcached keeps what was stored in the same second
            at.send(b"flush_all\r\n")
            self.assertEqual(at.line(), "OK")
            eventually(lambda: value_of(there, "k") is None, 5, "it is flushed")

    def test_what_a_memcached_holds_already_is_copied(self):
        backend = self.memcached().start()
        with backend.client() as at:
            for i in range(5000):
                at.send(b"set old%d %d 1000 3 noreply\r\nabc\r\n" % (i, i))
            at.send(b"set odd\x01key 0 0 1\r\nx\r\n")
            self.assertEqual(at.line(), "STORED")
        master = self.stock_node("a", backend=backend).start()
        slave = self.stock_node("b").start(peer=master)
        wait_in_sync(master, slave)
        with slave.backend.client() as there:
            for i in range(0, 5000, 7):
                self.assertEqual(value_of(there, f"old{i}"), (i, b"abc"))
            there.send(b"get odd\x01key\r\n")
            self.assertEqual(there.line(), "VALUE odd\x01key 0 1")

    def test_a_memcached_that_restarts_is_filled_again(self):
        master, slave = self.stock_pair()
        with master.client() as at:
            for i in range(1000):
                at.send(b"set k%d 0 0 3\r\nabc\r\n" % i)
                self.assertEqual(at.line(), "STORED")
        wait_in_sync(master, slave)
        for node, other in ((slave, master), (master, slave)):
            node.mark()
            node.backend.restart()
            node.wait_log("backend: it holds 0 items", 10)
            wait_in_sync(node, other, 20)
            with node.backend.client() as behind:
                for i in range(0, 1000, 11):
                    self.assertEqual(value_of(behind, f"k{i}"), (0, b"abc"))
            with other.client() as at:
                self.assertEqual(value_of(at, "k5"), (0, b"abc"))


if __name__ == "__main__":
    main()
