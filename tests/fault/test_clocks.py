"""Two real nodes whose clocks are apart: ahead, behind, set back while they run, and over a restart.

The clocks are bent by a preloaded library (bent_clock.cc; TANDEM_BENT_CLOCK names it); only the
wall clock, as when somebody sets it.
"""

import os
import struct
import time

from harness import PairTest, differences, eventually, main, wait_in_sync


class Clocks(PairTest):
    def with_clock(self, node, seconds):
        """The node's wall clock is off by so much, now or from its start on."""
        self.set_clock(node, seconds)
        node.environment = {"LD_PRELOAD": os.environ["TANDEM_BENT_CLOCK"],
                            "BENT_CLOCK": str(self.directory / f"{node.name}.clock")}
        return node

    def set_clock(self, node, seconds):
        path = self.directory / f"{node.name}.clock"
        path.touch()
        with open(path, "r+b") as file:  # in place: the process has it mapped
            file.write(struct.pack("<q", int(seconds * 1_000_000)))

    def clock_of(self, node):
        return int(node.stats()["time"]) - time.time()

    def bent_pair(self, seconds):
        right = self.node(f"right{seconds}")
        bent = self.with_clock(self.node(f"bent{seconds}"), seconds)
        right.start()
        bent.start(peer=right)
        wait_in_sync(right, bent)
        self.assertLess(abs(self.clock_of(bent) - seconds), 1.5, "the clock is not bent")
        return right, bent

    def assert_cas_rises(self, nodes, turns=20, key="k", above=0):
        """Each write, at one node and then at the other, has a higher CAS unique than the last."""
        clients = [node.client() for node in nodes]
        last = above
        for turn in range(turns):
            here, there = clients[turn % 2], clients[1 - turn % 2]
            value = f"{nodes[turn % 2].name}:{turn}:{last}".encode()
            self.assertEqual(here.set(key, value), "STORED")
            cas = here.gets(key)[key][2]
            self.assertGreater(cas, last, f"turn {turn}")
            eventually(lambda c=there, v=value: c.get(key) == v, 2,
                       lambda c=there, v=value: f"{v} wins at the other node, not {c.get(key)}")
            last = cas
        for client in clients:
            client.close()
        return last

    def test_clocks_that_are_apart(self):
        for seconds in (2, -2, 30, -30):
            right, bent = self.bent_pair(seconds)
            self.assert_cas_rises((right, bent))
            # Each alone for a moment, then together: the same on both.
            keys = [f"s{i}" for i in range(50)]
            bent.stop()
            right.wait_log("replication: close")
            with right.client() as client:
                client.set_many({key: b"right" for key in keys})
            bent.resume()
            wait_in_sync(right, bent)
            with bent.client() as client:
                client.set_many({key: b"bent" for key in keys})
            wait_in_sync(right, bent)
            self.assertEqual(differences(right, bent, keys), [])
            with right.client() as client:
                self.assertEqual({client.get(key) for key in keys}, {b"bent"},
                                 "a write that knew of the other wins, whatever the clocks say")
            for node in (bent, right):
                node.kill_and_wait()

    def test_a_clock_that_is_set_back_and_a_restart(self):
        right, bent = self.bent_pair(20)
        cas = self.assert_cas_rises((right, bent))
        self.set_clock(bent, -20)
        eventually(lambda: self.clock_of(bent) < 0, 3, "the clock is set back")
        cas = self.assert_cas_rises((right, bent), above=cas)
        bent.kill_and_wait()
        bent.start(peer=right)
        wait_in_sync(right, bent)
        cas = self.assert_cas_rises((right, bent), above=cas)
        # And the other way round: the survivor's clock is the one that is behind.
        right.kill_and_wait()
        bent.wait_role("MASTER")
        right.start(peer=bent)
        wait_in_sync(right, bent)
        self.assert_cas_rises((right, bent), above=cas)
        self.assertEqual(differences(right, bent, ["k"]), [])

    def test_a_clock_that_is_off_by_more_than_a_minute_is_refused(self):
        right = self.node("right").start()
        bent = self.with_clock(self.node("bent"), 90)
        bent.start(peer=right, wait=False)
        for node in (right, bent):
            node.wait_log(r"the clocks are (89|90|91) s apart: set them right")
        self.assertEqual(right.role(), "MASTER")
        self.assertEqual(right.replication()["link"], "down")
        # Set right, it joins by itself.
        self.set_clock(bent, 1)
        wait_in_sync(right, bent, 15)


if __name__ == "__main__":
    main()
