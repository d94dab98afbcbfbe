"""The edge cases with a stock memcached behind the node: what that memcached answers by the table
when it is asked directly, it answers through the node, too.

TANDEM_MEMCACHED names another memcached than the distribution's.
"""

import re

from harness import SLOWDOWN, main
from stock import StockTest
import test_edge_cases as table

# What takes time to happen, or, with memcached, makes what is stored in the same second vanish.
LATER = re.compile("<pause|flush_all")
# Answered by the node itself, of what it knows: not by memcached.
OF_THE_NODE = {"stats", "watch", "shutdown", "verbosity"}
# A NUL in a line: some versions end the line there, and take the rest for a command of its own. The
# node lets none pass.
REFUSED = re.compile(r"^set a\\x00b ")

# Rows that differ wait so long; those that differ at the memcached itself need not be the same.
DIRECT_SECONDS = 0.1
NODE_SECONDS = 0.4 * SLOWDOWN


class StockEdgeCases(StockTest):
    run_row = table.EdgeCases.run_row
    judge = staticmethod(table.EdgeCases.judge)

    def wrong_rows(self, port, cuts_of, seconds, hopeless=()):
        wrong = {}
        for row in table.read_table():
            if row["flags"] or row["group"] in OF_THE_NODE or LATER.search(
                    row["setup"] + row["sent"]):
                continue
            table.DEADLINE_SECONDS = DIRECT_SECONDS if row["id"] in hopeless else seconds
            found = self.run_row(row, port, cuts_of(row))
            if found:
                wrong[row["id"]] = f"{row['id']} ({row['group']}) {row['sent'][:100]}: {found}"
        return wrong

    def compare(self, cuts_of):
        allowed = self.wrong_rows(self.memcached("direct").start().port, cuts_of, DIRECT_SECONDS)
        node = self.stock_node("node").start()
        try:
            found = self.wrong_rows(node.port, cuts_of, NODE_SECONDS, allowed)
        except OSError:
            self.fail(node.log())
        # An older version differs in many; a memcached that answers nothing in time would in all.
        self.assertLess(len(allowed), 120)
        print(f"memcached itself differs in {len(allowed)} rows, through the node {len(found)}")
        refused = {row["id"] for row in table.read_table() if REFUSED.match(row["sent"])}
        worse = [text for name, text in found.items()
                 if name not in allowed and name not in refused]
        self.assertEqual(worse, [], "\n" + "\n".join(worse))

    def test_in_one_write(self):
        self.compare(lambda row: table.in_one_write())


if __name__ == "__main__":
    main()
