"""The operator's hooks: when they run, with what, and what a veto does."""

import time

import control
from control import Refused
from harness import SLOWDOWN, PairTest, eventually, main, wait_in_sync


class Hooks(PairTest):
    def write_hook(self, name, body):
        path = self.directory / name
        path.write_text("#!/bin/sh\n" + body)
        path.chmod(0o755)
        return path

    def setUp(self):
        super().setUp()
        self.told = self.directory / "told"
        self.told.touch()
        self.tell = self.write_hook(
            "tell", f'echo "$1 $MEMTANDEM_HOOK $MEMTANDEM_ROLE $MEMTANDEM_TERM $2" >> {self.told}\n'
                    'echo "because: $MEMTANDEM_REASON"\n')

    def yaml(self, name, pre=None, timeout="5s"):
        pre = pre or f"[{self.tell}, {name}, 'two words']"
        return (f"hooks:\n  pre_promote: {pre}\n"
                f"  post_promote: [{self.tell}, {name}]\n  post_demote: [{self.tell}, {name}]\n"
                f"  split_heal: [{self.tell}, {name}]\n  timeout: {timeout}\n")

    def lines(self):
        return [line.strip() for line in self.told.read_text().splitlines()]

    def expect(self, *lines):
        eventually(lambda: sorted(self.lines()) == sorted(lines), 5,
                   lambda: f"{lines} were told: {self.lines()}")

    def test_they_run_in_order_with_their_words(self):
        master = control.configure(self.node("a"), self.yaml("a")).start()
        self.expect("a pre_promote INIT 1 two words", "a post_promote MASTER 1")
        self.assertTrue(self.lines()[0].startswith("a pre_promote"))
        slave = control.configure(self.node("b"), self.yaml("b")).start(peer=master)
        wait_in_sync(master, slave)
        self.told.write_text("")
        control.run(master, "switchover")
        self.expect("b pre_promote SLAVE 2 two words", "b post_promote MASTER 2",
                    "a post_demote SLAVE 2")
        self.assertTrue(self.lines()[0].startswith("b pre_promote"))
        slave.wait_log("hook post_promote: because: switchover")
        # A takeover asks too.
        self.told.write_text("")
        slave.kill_and_wait()
        master.wait_role("MASTER")
        self.expect("a pre_promote SLAVE 3 two words", "a post_promote MASTER 3")

    def test_a_veto_leaves_all_as_it_is_until_it_agrees(self):
        allow = self.directory / "allow"
        allow.touch()
        gate = self.write_hook("gate", f'echo "asked for $MEMTANDEM_TERM"\ntest -e {allow}\n')
        master = control.configure(self.node("a"), self.yaml("a", f"[{gate}]")).start()
        slave = control.configure(self.node("b"), self.yaml("b", f"[{gate}]")).start(peer=master)
        wait_in_sync(master, slave)
        allow.unlink()
        with self.assertRaisesRegex(Refused, "pre_promote vetoed: exit status 1"):
            control.run(master, "switchover")
        self.assertEqual((master.role(), slave.role()), ("MASTER", "SLAVE"))
        self.assertEqual(master.replication()["term"], "1")
        master.kill_and_wait()
        slave.wait_log("pre_promote vetoed: exit status 1; asking again")
        with slave.client() as client:
            rows = client.stats("replication")
            self.assertEqual((rows["role"], rows["changing"]), ("SLAVE", "vetoed"))
            self.assertEqual(client.set("still", b"served"), "STORED")
            with self.assertRaisesRegex(Refused, "vetoed"):
                control.run(slave, "promote")
            # An empty newcomer, a master of its own, does not wipe what is here meanwhile.
            allow.touch()
            slave.wait_role("MASTER")
            self.assertEqual(client.get("still"), b"served")

    def test_one_that_hangs_is_killed_with_all_it_started(self):
        children = self.directory / "children"
        hang = self.write_hook("hang", f"sleep 600 & echo $! $$ > {children}\nwait\n")
        node = control.configure(self.node("a"), self.yaml("a", f"[{hang}]", "300ms"))
        node.start(wait=False)
        node.wait_log("hook pre_promote: killed: it did not end within 300ms")
        pids = [int(pid) for pid in children.read_text().split()]

        def gone():
            for pid in pids:
                try:
                    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                        if stat.read().rsplit(")", 1)[1].split()[0] not in "ZX":
                            return False
                except OSError:
                    pass
            return True
        eventually(gone, 5, "the hook's processes are gone")
        # It has not served, and asks again; an operator can overrule it.
        self.assertIsNone(node.role())
        control.run(node, "promote force")
        self.assertEqual(node.role(), "MASTER")
        self.expect("a post_promote MASTER 1")

    def test_the_link_does_not_wait_for_a_hook(self):
        slow = self.write_hook("slow", "sleep 2\n")
        yaml = f"hooks:\n  post_promote: [{slow}]\n  post_demote: [{slow}]\n"
        master = control.configure(self.node("a"), yaml).start()
        slave = control.configure(self.node("b"), yaml).start(peer=master)
        wait_in_sync(master, slave)
        begin = time.monotonic()
        for node in (master, slave, master, slave):
            control.run(node, "switchover")
        self.assertLess(time.monotonic() - begin, 2 * SLOWDOWN)
        with master.client() as client:
            self.assertEqual(client.set("k", b"v"), "STORED")
        wait_in_sync(master, slave)
        # They end with the node, not two seconds later.
        begin = time.monotonic()
        self.assertEqual(master.terminate(), 0)
        self.assertLess(time.monotonic() - begin, 2 * SLOWDOWN)

    def test_a_program_that_is_not_there_is_said_and_vetoes(self):
        node = control.configure(self.node("a"), "hooks:\n  pre_promote: /no/such/program\n")
        node.start(wait=False)
        node.wait_log("/no/such/program cannot be executed: No such file")
        node.wait_log("pre_promote vetoed: it could not be started: No such file")
        self.assertIsNone(node.role())


if __name__ == "__main__":
    main()
