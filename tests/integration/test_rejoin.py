"""Nodes that come, go and come back: no human needed, no full node wiped, no link given up."""

import time

from harness import (PairTest, contents, differences, eventually, free_port, main,
                     wait_in_sync)

KEYS = [f"key{i}" for i in range(500)]


class Rejoin(PairTest):
    def fill(self, node, text="value"):
        with node.client() as client:
            replies = client.set_many({key: f"{text} {key}".encode() for key in KEYS})
        self.assertEqual(set(replies), {"STORED"})

    def assert_holds(self, node, text="value"):
        found = contents(node, KEYS)
        self.assertEqual({key: row[1] for key, row in found.items()},
                         {key: f"{text} {key}".encode() for key in KEYS})

    def assert_equal_nodes(self, first, second):
        self.assertEqual(differences(first, second, KEYS), [])

    def test_an_old_master_returns_with_the_peer_flag(self):
        master, slave = self.pair()
        self.fill(master)
        wait_in_sync(master, slave)
        master.kill_and_wait()
        slave.wait_role("MASTER")
        self.fill(slave, "written meanwhile")
        master.start(peer=slave)
        wait_in_sync(slave, master)
        self.assertEqual((slave.role(), master.role()), ("MASTER", "SLAVE"))
        self.assert_holds(master, "written meanwhile")
        self.assert_equal_nodes(master, slave)

    def test_an_old_master_returns_with_its_old_flags(self):
        """Without -x it does not dial; the survivor, who knows it as peer, does."""
        master, slave = self.pair()
        self.fill(master)
        wait_in_sync(master, slave)
        master.kill_and_wait()
        slave.wait_role("MASTER")
        self.fill(slave, "written meanwhile")
        term = int(slave.replication()["term"])
        master.start(wait=False)
        wait_in_sync(slave, master)
        self.assertEqual((slave.role(), master.role()), ("MASTER", "SLAVE"))
        self.assertEqual(int(slave.replication()["term"]), term)
        self.assert_holds(master, "written meanwhile")
        self.assert_holds(slave, "written meanwhile")
        self.assert_equal_nodes(master, slave)

    def test_an_empty_node_never_wipes_a_full_one(self):
        """A full master without a peer flag; the empty one dials it."""
        full = self.node("full").start()
        self.fill(full)
        for _ in range(3):
            empty = self.node("empty").start(peer=full)
            wait_in_sync(full, empty)
            self.assertEqual(full.role(), "MASTER")
            self.assert_holds(full)
            self.assert_holds(empty)
            empty.kill_and_wait()

    def test_an_empty_lone_master_is_filled_by_a_full_node_that_dials_it(self):
        """The empty one was up first and is master; the full one has lost its master."""
        first, full = self.pair()
        self.fill(first)
        wait_in_sync(first, full)
        first.kill_and_wait()
        full.wait_role("MASTER")
        # Back empty, alone and master for a moment, before the full one has dialled again.
        first.start(wait=False)
        wait_in_sync(first, full)
        self.assert_holds(full)
        self.assert_holds(first)

    def test_an_empty_node_with_a_higher_term_does_not_wipe_a_full_one(self):
        """A node that has changed masters often, emptied by flush, against a full lone one."""
        full = self.node("full").start()
        self.fill(full)
        hollow = self.node("hollow").start(peer=free_port())
        hollow.wait_role("MASTER")  # its peer never answered: it started alone
        self.assertEqual(contents(hollow, KEYS), {})
        hollow.kill_and_wait()
        hollow.start(peer=full)
        wait_in_sync(full, hollow)
        self.assert_holds(full)
        self.assert_holds(hollow)

    def test_both_start_at_once_naming_each_other(self):
        for turn in range(5):
            first, second = self.node(f"first{turn}"), self.node(f"second{turn}")
            first.start(peer=second, wait=False)
            second.start(peer=first, wait=False)
            wait_in_sync(first, second)
            self.fill(first, f"turn {turn}")
            wait_in_sync(first, second)
            self.assert_holds(second, f"turn {turn}")
            first.kill_and_wait()
            second.kill_and_wait()

    def test_both_name_each_other_and_take_turns_in_dying(self):
        first, second = self.node("first"), self.node("second")
        first.start(peer=second, wait=False)
        second.start(peer=first, wait=False)
        wait_in_sync(first, second)
        nodes = [first, second]
        for turn in range(4):
            dying, staying = nodes[turn % 2], nodes[(turn + 1) % 2]
            self.fill(staying, f"turn {turn}")
            wait_in_sync(dying, staying)
            dying.kill_and_wait()
            staying.wait_role("MASTER")
            dying.start(peer=staying)
            wait_in_sync(dying, staying)
            self.assertEqual(dying.role(), "SLAVE")
            self.assert_holds(dying, f"turn {turn}")
            self.assert_equal_nodes(first, second)

    def test_a_node_whose_peer_is_absent_starts_alone(self):
        lone = self.node("lone").start(peer=self.node("nobody"))
        self.assertEqual(lone.role(), "MASTER")
        self.fill(lone)
        late = self.nodes[1].start(peer=lone)
        wait_in_sync(lone, late)
        self.assertEqual(lone.role(), "MASTER")
        self.assert_holds(late)

    def test_the_link_is_retried_for_ever(self):
        master, slave = self.pair()
        descriptors = []
        for turn in range(6):
            slave.kill_and_wait()
            master.wait_log("replication: close")
            master.mark()
            self.fill(master, f"turn {turn}")
            slave.start(peer=master)
            wait_in_sync(master, slave)
            self.assertEqual(slave.role(), "SLAVE")
            self.assert_holds(slave, f"turn {turn}")
            descriptors.append(master.process.descriptors())
        print(f"\n  descriptors of the master after each return: {descriptors}")
        self.assertLessEqual(descriptors[-1], descriptors[0] + 2)

    def test_a_stopped_slave_catches_up(self):
        master, slave = self.pair()
        self.fill(master, "before")
        wait_in_sync(master, slave)
        slave.stop()
        master.wait_log("replication: close")
        self.fill(master, "after")
        with master.client() as client:
            self.assertEqual(client.command(f"delete {KEYS[0]}"), "DELETED")
        slave.resume()
        wait_in_sync(master, slave)
        self.assertEqual(master.role(), "MASTER")
        self.assertNotIn(KEYS[0], contents(slave, KEYS))
        self.assert_equal_nodes(master, slave)

    def test_a_deleted_value_does_not_come_back(self):
        """Deleted while the peer, which holds the value, was away."""
        master, slave = self.pair()
        self.fill(master)
        wait_in_sync(master, slave)
        slave.stop()
        master.wait_log("replication: close")
        with master.client() as client:
            for key in KEYS[:100]:
                self.assertEqual(client.command(f"delete {key}"), "DELETED")
        slave.resume()
        wait_in_sync(master, slave)
        for node in (master, slave):
            self.assertEqual(len(contents(node, KEYS)), len(KEYS) - 100)
        self.assert_equal_nodes(master, slave)

    def test_a_flush_during_a_break_reaches_the_peer(self):
        master, slave = self.pair()
        self.fill(master)
        wait_in_sync(master, slave)
        slave.stop()
        master.wait_log("replication: close")
        with master.client() as client:
            self.assertEqual(client.command("flush_all"), "OK")
            self.assertEqual(client.set(KEYS[0], b"new"), "STORED")
        slave.resume()
        wait_in_sync(master, slave)
        for node in (master, slave):
            self.assertEqual({k: row[1] for k, row in contents(node, KEYS).items()},
                             {KEYS[0]: b"new"})

    def test_an_expiry_is_the_same_after_a_copy(self):
        master = self.node("a").start()
        with master.client() as client:
            self.assertEqual(client.set("short", b"v", exptime=4), "STORED")
            self.assertEqual(client.set("long", b"v", exptime=3000), "STORED")
            self.assertEqual(client.set("touched", b"v", exptime=3000), "STORED")
            self.assertEqual(client.command("touch touched 4"), "TOUCHED")
        started = time.monotonic()
        slave = self.node("b").start(peer=master)
        wait_in_sync(master, slave)
        with slave.client() as client:
            if time.monotonic() - started < 2.5:
                self.assertEqual(set(client.gets("short", "long", "touched")),
                                 {"short", "long", "touched"})
            eventually(lambda: set(client.gets("short", "long", "touched")) == {"long"}, 6,
                       lambda: f"two of three expire: {client.gets('short', 'long', 'touched')}")
        eventually(lambda: set(contents(master, ["short", "long", "touched"])) == {"long"}, 2,
                   "and on the master")

    def test_no_client_is_served_before_the_copy_is_complete(self):
        master = self.node("a", memory_mib=256).start()
        keys = [f"bulk{i}" for i in range(20000)]
        with master.client() as client:
            for start in range(0, len(keys), 1000):
                replies = client.set_many({k: b"v" * 500 for k in keys[start:start + 1000]})
                self.assertEqual(set(replies), {"STORED"})
        slave = self.node("b", memory_mib=256).start(peer=master)
        # The first moment it takes a client, everything is there.
        self.assertEqual(len(contents(slave, keys)), len(keys))
        self.assertEqual(differences(master, slave, keys), [])


if __name__ == "__main__":
    main()
