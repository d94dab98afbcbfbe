"""A pair under load is audited, by itself and by command, and found to hold the same."""

import control
from harness import (SLOWDOWN, PairTest, eventually, load_result, main, run_load,
                     wait_in_sync)

ITEMS = 20000


class Audit(PairTest):
    def audited_pair(self, yaml=""):
        nodes = [control.configure(self.node(name), yaml) for name in "ab"]
        nodes[0].start()
        nodes[1].start(peer=nodes[0])
        filled, errors = load_result(run_load(nodes[0], "--fill", "--keys", ITEMS, "--pipeline",
                                              16))
        self.assertEqual((filled["errors"], errors), (0, ""))
        wait_in_sync(*nodes)
        return nodes

    def audit(self, node, *words):
        lines = control.run(node, " ".join(("audit", *words)))
        return {name: value for name, value in (line.split(" ", 1) for line in lines)}

    def test_audits_under_load_find_no_difference(self):
        nodes = self.audited_pair()
        seconds = 2 * max(1, int(SLOWDOWN) // 2)
        loads = [run_load(node, "--keys", ITEMS, "--set-ratio", 0.5, "--rate", 3000,
                          "--duration", seconds, "--seed", seed)
                 for seed, node in enumerate(nodes)]
        audits = 0
        while any(load.poll() is None for load in loads):
            for node in nodes:
                found = self.audit(node)
                self.assertEqual((found["differing"], found["dropped"]), ("0", "0"))
                audits += 1
        for load in loads:
            result, errors = load_result(load)
            self.assertEqual((result["errors"], errors), (0, ""))
        wait_in_sync(*nodes)
        quiet = [self.audit(node, "repair") for node in nodes]
        print(f"\n  {audits} audits under load; at rest {quiet[0]['compared']} keys in "
              f"{quiet[0]['milliseconds']} ms")
        for found in quiet:
            self.assertEqual((found["compared"], found["differing"], found["repaired"]),
                             (str(ITEMS), "0", "0"))
        self.assertGreater(audits, 2)  # more than the one of each node that starts with the load

    def test_a_master_audits_at_its_interval(self):
        master, slave = self.audited_pair("replication:\n  audit_interval: 1s\n")
        eventually(lambda: int(master.replication()["audits"]) >= 2, 8, "two audits")
        rows = master.replication()
        self.assertEqual((rows["audit_compared"], rows["audit_differing"]), (str(ITEMS), "0"))
        self.assertGreater(int(rows["audit_last"]), 0)
        self.assertEqual(slave.replication()["audits"], "0")
        master.wait_log(rf"replication: audit: {ITEMS} keys compared in \d+ ms, 0 differ")


if __name__ == "__main__":
    main()
