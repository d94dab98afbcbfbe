"""What a split leaves behind: who is master in which term, and a report of the keys in conflict."""

import contextlib
import time

import control
from client import ConnectionLost
from fault_proxy import BACKWARD, FORWARD, FaultProxy
from harness import SLOWDOWN, PairTest, differences, eventually, main, wait_in_sync

SHARED = [f"shared{i}" for i in range(100)]
OF_ONE = [f"one{i}" for i in range(50)]


class Split(PairTest):
    def split_pair(self):
        """Master, slave and the proxy through which the slave dials."""
        told = self.directory / "told"
        hook = self.directory / "hook"
        hook.write_text("#!/bin/sh\necho "
                        "$MEMTANDEM_HOOK $MEMTANDEM_CONFLICTS_WON $MEMTANDEM_CONFLICTS_LOST "
                        f">> {told}.$1\n")
        hook.chmod(0o755)

        def yaml(name):
            return ("replication: {dead_after: 400ms, heartbeat_interval: 100ms}\n"
                    f"hooks: {{split_heal: [{hook}, {name}]}}\n")
        master = control.configure(self.node("a"), yaml("a")).start()
        proxy = FaultProxy(master.link_port)
        self.addCleanup(proxy.close)
        slave = control.configure(self.node("b"), yaml("b")).start(peer=proxy.port)
        wait_in_sync(master, slave)
        return master, slave, proxy

    def note_reigns(self, reigns, *nodes):
        """Adds {term: names of its masters}, as the nodes tell it at this moment."""
        for node in nodes:
            with contextlib.suppress(OSError, ConnectionLost):
                rows = node.replication()
                if rows["role"] == "MASTER":
                    reigns.setdefault(int(rows["term"]), set()).add(node.name)

    def test_conflicts_are_counted_and_told(self):
        master, slave, proxy = self.split_pair()
        with master.client() as client:
            for key in SHARED + OF_ONE:
                client.set(key, b"before")
        wait_in_sync(master, slave)
        proxy.stalled = {FORWARD, BACKWARD}
        slave.wait_role("MASTER")
        eventually(lambda: master.replication()["link"] == "down", 10, "the link is given up")
        # The slave's are later for all but the first ten.
        with master.client() as a, slave.client() as b:
            for key in SHARED[10:]:
                a.set(key, b"a")
            for key in SHARED[:5]:
                b.set(key, b"b")
            for key in SHARED[5:10]:
                b.command(f"delete {key}")
            for key in OF_ONE:
                b.set(key, b"b alone")
            time.sleep(0.01)
            for key in SHARED[:10]:
                a.set(key, b"a")
            for key in SHARED[10:]:
                b.set(key, b"b")
        proxy.stalled = set()
        proxy.cut()
        wait_in_sync(slave, master)
        self.assertEqual(differences(master, slave, SHARED + OF_ONE), [])
        # The later reign goes on, and every conflict was lost on exactly one side.
        self.assertEqual(slave.role(), "MASTER")
        rows = {node: node.replication() for node in (master, slave)}
        self.assertEqual([rows[n]["splits"] for n in (master, slave)], ["1", "1"])
        self.assertEqual([int(rows[n]["split_conflicts_lost"]) for n in (master, slave)], [90, 10])
        self.assertLessEqual(int(rows[master]["split_conflicts_won"]), 10)
        self.assertLessEqual(int(rows[slave]["split_conflicts_won"]), 90)
        master.wait_log("the split is healed: of keys changed on both sides 90 were taken")
        with control.Control(master.control_path) as asked:
            samples = [line.split() for line in asked.run("status") if "split_sample" in line]
        self.assertEqual(len(samples), 16)
        for verdict, key in samples:
            won = key in SHARED[:10]
            self.assertIn(key, SHARED)
            self.assertEqual(verdict, "split_sample_won" if won else "split_sample_lost")
        for node, lost in ((master, 90), (slave, 10)):
            path = self.directory / f"told.{node.name}"
            eventually(lambda p=path: p.exists() and p.read_text().endswith("\n"), 5, "it is told")
            won = rows[node]["split_conflicts_won"]
            self.assertEqual(path.read_text(), f"split_heal {won} {lost}\n")

    def test_one_way_drops_never_make_two_masters_of_one_term(self):
        master, slave, proxy = self.split_pair()
        reigns = {}
        for direction in (FORWARD, BACKWARD, FORWARD):
            proxy.stalled = {direction}
            until = time.monotonic() + min(1.0 * SLOWDOWN, 3.0)
            while time.monotonic() < until:
                self.note_reigns(reigns, master, slave)
            # In the midst of it an operator tries to help.
            for node in (master, slave):
                with contextlib.suppress(control.Refused):
                    control.run(node, "switchover")
                self.note_reigns(reigns, master, slave)
            proxy.stalled = set()
            proxy.cut()
            eventually(lambda: {master.role(), slave.role()} == {"MASTER", "SLAVE"}, 10,
                       lambda: f"they agree: {master.role()}, {slave.role()}")
            if master.role() == "MASTER":
                wait_in_sync(master, slave)
            else:
                wait_in_sync(slave, master)
            self.note_reigns(reigns, master, slave)
        print(f"\n  reigns: { {term: sorted(names) for term, names in sorted(reigns.items())} }")
        self.assertGreater(len(reigns), 2)
        for term, names in reigns.items():
            self.assertEqual(len(names), 1, f"term {term}")


if __name__ == "__main__":
    main()
