"""A newcomer is filled with a million items while the master takes 20,000 sets a second.

No client of the master sees an error, the newcomer takes no client before it is complete, and
afterwards both nodes hold the same keys, flags, values and CAS uniques.
"""

import os
import time

from harness import PairTest, eventually, load_result, main, run_load, wait_in_sync

ITEMS = int(os.environ.get("TANDEM_FILL_ITEMS", "1000000"))
SETS_PER_SECOND = 20000
VALUE_SIZE = 100


class Fill(PairTest):
    def digest(self, node):
        result, errors = load_result(run_load(
            node, "--digest", "--keys", ITEMS, "--dump", self.directory / f"{node.name}.dump"))
        self.assertEqual(errors, "")
        return result

    def first_differences(self, first, second):
        rows = []
        for node in (first, second):
            with open(self.directory / f"{node.name}.dump", encoding="ascii") as dump:
                rows.append(set(dump))
        only = [sorted(rows[0] - rows[1]), sorted(rows[1] - rows[0])]
        return (f"{first.name} alone has {len(only[0])}: {only[0][:5]}, "
                f"{second.name} alone has {len(only[1])}: {only[1][:5]}")

    def test_a_million_items_under_load(self):
        master = self.node("a", memory_mib=1024).start()
        filled, errors = load_result(run_load(
            master, "--fill", "--keys", ITEMS, "--value-size", VALUE_SIZE, "--pipeline", 16))
        self.assertEqual((filled["errors"], errors), (0, ""))
        print(f"\n  {filled['ops']:.0f} sets to fill the master at {filled['ops_per_s']:.0f}/s")

        load = run_load(master, "--keys", ITEMS, "--value-size", VALUE_SIZE, "--rate",
                        SETS_PER_SECOND, "--connections", 50, "--seed", 7)
        started = time.monotonic()
        slave = self.node("b", memory_mib=1024).start(peer=master, seconds=60)
        took = time.monotonic() - started
        eventually(lambda: int(master.replication()["lag_records"]) < SETS_PER_SECOND, 20,
                   lambda: f"the lag goes down: {master.replication()}")
        lag = master.replication()
        load.terminate()
        result, errors = load_result(load)
        self.assertEqual((result["errors"], errors), (0, ""))
        wait_in_sync(master, slave, 20)
        print(f"  newcomer serving after {took:.2f} s ({ITEMS / took:.0f} items/s) under "
              f"{result['ops_per_s']:.0f} sets/s, which saw p50 {result['p50_us']:.0f} us, "
              f"p99 {result['p99_us']:.0f} us, longest {result['max_us']:.0f} us; lag then "
              f"{lag['lag_records']} records")
        print(f"  resident: master {master.process.rss_bytes() >> 20} MiB, "
              f"newcomer {slave.process.rss_bytes() >> 20} MiB")

        one, other = self.digest(master), self.digest(slave)
        self.assertEqual(one["items"], ITEMS)
        self.assertEqual(one, other, self.first_differences(master, slave))
        self.assertGreater(result["ops_per_s"], 0.8 * SETS_PER_SECOND,
                           "the load did not reach its rate, so the test proves less")


if __name__ == "__main__":
    main()
