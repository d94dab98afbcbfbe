"""A node whose memcached is gone, with while_syncing: read_through: its clients get from the master
what they ask for, and it is nobody's peer until it has a memcached again."""

import threading

from control import Refused, run
from harness import eventually, main, wait_in_sync
from stock import StockTest


def guest_of(node):
    return node.replication()["guest"]


def ask(client, text, lines=1):
    client.send(text.encode())
    got = [client.line() for _ in range(lines)]
    return got[0] if lines == 1 else got


class StockGuest(StockTest):
    def guest_node(self, name, peer=None, yaml=""):
        control = self.directory / f"{name}.sock"
        node = self.stock_node(name, yaml=f"control: {{socket: {control}}}\nreplication: "
                                          f"{{while_syncing: read_through, join_timeout: 1s{yaml}}}\n")
        node.control_path = control
        return node.start(peer=peer)

    def test_a_slave_without_its_memcached_has_the_masters_answers(self):
        master = self.guest_node("a")
        slave = self.guest_node("b", master)
        wait_in_sync(master, slave)
        with master.client() as theirs, slave.client() as ours:
            self.assertEqual(ask(theirs, "set k 7 0 1\r\n1\r\n"), "STORED")
            wait_in_sync(master, slave)
            slave.backend.kill()
            eventually(lambda: guest_of(slave) == "visiting", 5, "the slave is a guest")
            self.assertEqual(guest_of(master), "host")
            self.assertEqual(slave.replication()["role"], "INIT")
            self.assertEqual(master.replication()["link"], "down")
            # By the connection that was there before.
            self.assertEqual(ask(ours, "set n 0 0 1\r\n5\r\nincr n 2\r\nmg k v f\r\nget no\r\n", 5),
                             ["STORED", "7", "VA 1 f7", "1", "END"])
            self.assertEqual(ask(ours, "get k n\r\ndelete k\r\n", 6),
                             ["VALUE k 7 1", "1", "VALUE n 0 1", "7", "END", "DELETED"])
            self.assertEqual(ask(theirs, "get k n\r\n", 3), ["VALUE n 0 1", "7", "END"])
            large = "x" * 500_000
            self.assertEqual(ask(ours, f"set large 0 0 {len(large)}\r\n{large}\r\n"), "STORED")
            self.assertEqual(ask(ours, "get large\r\n", 3)[1], large)
            with self.assertRaisesRegex(Refused, "its backend is gone"):
                run(slave, "promote force")

            slave.backend.start()
            eventually(lambda: slave.replication()["role"] == "SLAVE", 10, "it is a slave again")
            wait_in_sync(master, slave)
            self.assertEqual((guest_of(slave), guest_of(master)), ("no", "no"))
        with slave.backend.client() as behind:
            self.assertEqual(ask(behind, "get n\r\n", 3)[1], "7")

    def test_a_master_without_its_memcached_is_a_guest_of_the_slave_that_was(self):
        master = self.guest_node("a")
        slave = self.guest_node("b", master)
        wait_in_sync(master, slave)
        numbers, errors, ends = [], [], threading.Event()

        def count():
            with master.client(timeout=10) as client:
                while not ends.is_set():
                    answer = ask(client, "incr n 1\r\n")
                    (numbers if answer.isdigit() else errors).append(answer)

        with slave.client() as client:
            self.assertEqual(ask(client, "set n 0 0 1\r\n0\r\n"), "STORED")
        wait_in_sync(master, slave)
        counter = threading.Thread(target=count, daemon=True)
        counter.start()
        eventually(lambda: len(numbers) > 100, 5, "it counts")
        master.backend.kill()
        eventually(lambda: guest_of(master) == "visiting", 5, "the master is a guest")
        self.assertEqual(slave.replication()["role"], "MASTER")
        seen = len(numbers)
        eventually(lambda: len(numbers) > seen + 100, 5, "it counts on at the other node")
        ends.set()
        counter.join()
        with slave.client() as client:
            self.assertEqual(ask(client, "get n\r\n", 3)[1], numbers[-1])
        self.assertTrue(all("SERVER_ERROR" in each for each in errors), errors[:3])

    def test_two_without_memcacheds_are_nobodys_guests(self):
        master = self.guest_node("a")
        slave = self.guest_node("b", master)
        wait_in_sync(master, slave)
        for node in (slave, master):
            node.backend.kill()
        for node in (master, slave):
            eventually(lambda node=node: guest_of(node) == "waiting", 5, "it waits")
            with node.client() as client:
                self.assertTrue(ask(client, "get k\r\n").startswith("SERVER_ERROR"))
        master.backend.start()
        eventually(lambda: guest_of(slave) == "visiting", 10, "one has data again")
        with slave.client() as client:
            self.assertEqual(ask(client, "set k 0 0 1\r\n1\r\n"), "STORED")
        slave.backend.start()
        eventually(lambda: slave.replication()["role"] == "SLAVE", 10, "and so has the other")
        with slave.client() as client:
            self.assertEqual(ask(client, "get k\r\n", 3)[1], "1")

    def test_with_sync_a_guests_writes_are_not_acknowledged(self):
        master = self.guest_node("a", yaml=", ack: sync")
        slave = self.guest_node("b", master, yaml=", ack: sync")
        wait_in_sync(master, slave)
        with slave.client() as client:
            self.assertEqual(ask(client, "set k 0 0 1\r\n1\r\n"), "STORED")
            slave.backend.kill()
            eventually(lambda: guest_of(slave) == "visiting", 5, "the slave is a guest")
            self.assertTrue(ask(client, "set k 0 0 1\r\n2\r\n").startswith("SERVER_ERROR"))
            self.assertEqual(ask(client, "get k\r\n", 3)[0], "VALUE k 0 1")
            run(master, "alone on")
            self.assertEqual(ask(client, "set k 0 0 1\r\n3\r\n"), "STORED")


if __name__ == "__main__":
    main()
