"""The edge cases with a stock memcached behind the node: what that memcached answers by the table
when it is asked directly, it answers through the node, too, in one write and cut into pieces.

TANDEM_MEMCACHED names another memcached than the distribution's.
"""

import concurrent.futures
import itertools
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
DIRECT_SECONDS = 0.06
HOPELESS_SECONDS = 0.03
NODE_SECONDS = 0.4 * SLOWDOWN
CUT_SECONDS = 5 * SLOWDOWN
# What a row is cut into: pieces of so many bytes, or 0: of random sizes.
PIECES = (1, 2, 5, 64, 0) if SLOWDOWN == 1 else (1, 0)


def pieces(row, size):
    if size == 0 or len(table.expanded(row["sent"])) > table.LONG_ROW * size:
        return table.in_random_cuts(row["id"])
    return itertools.repeat(size)


class StockEdgeCases(StockTest):
    run_row = table.EdgeCases.run_row
    judge = staticmethod(table.EdgeCases.judge)

    @staticmethod
    def rows():
        return [row for row in table.read_table()
                if not row["flags"] and row["group"] not in OF_THE_NODE and
                not LATER.search(row["setup"] + row["sent"])]

    def wrong_rows(self, port, rows, cuts_of, seconds=None, hopeless=()):
        wrong = {}
        for row in rows:
            if seconds:
                table.DEADLINE_SECONDS = HOPELESS_SECONDS if row["id"] in hopeless else seconds
            found = self.run_row(row, port, cuts_of(row))
            if found:
                wrong[row["id"]] = f"{row['id']} ({row['group']}) {row['sent'][:100]}: {found}"
        return wrong

    def in_one_write(self):
        """Returns the rows that were right."""
        def whole(_row):
            return table.in_one_write()
        allowed = self.wrong_rows(self.memcached("direct").start().port, self.rows(), whole,
                                  DIRECT_SECONDS)
        node = self.stock_node("node").start()
        try:
            found = self.wrong_rows(node.port, self.rows(), whole, NODE_SECONDS, allowed)
        except OSError:
            self.fail(node.log())
        # An older version differs in many; a memcached that answers nothing in time would in all.
        self.assertLess(len(allowed), 120)
        print(f"memcached itself differs in {len(allowed)} rows, through the node {len(found)}")
        refused = {row["id"] for row in table.read_table() if REFUSED.match(row["sent"])}
        worse = [text for name, text in found.items()
                 if name not in allowed and name not in refused]
        self.assertEqual(worse, [], "\n" + "\n".join(worse))
        return [row for row in self.rows() if row["id"] not in found]

    def in_pieces(self, rows, size, node):
        try:
            wrong = self.wrong_rows(node.port, rows, lambda row: pieces(row, size))
        except OSError as error:
            return [f"{error!r}: {node.log()[-3000:]}"]
        return [f"in pieces of {size or 'random'} bytes: {text}" for text in wrong.values()]

    def test_in_one_write_and_in_pieces(self):
        """The pieces' sizes at once, each to a node of its own, of the rows that are right whole."""
        right = self.in_one_write()
        table.DEADLINE_SECONDS = CUT_SECONDS
        # A process ends with the thread that started it.
        nodes = [self.stock_node(f"cut{size}").start() for size in PIECES]
        with concurrent.futures.ThreadPoolExecutor() as threads:
            wrong = [text for some in threads.map(self.in_pieces, itertools.repeat(right), PIECES,
                                                  nodes) for text in some]
        print(f"{len(right)} rows in pieces of {PIECES} bytes (0: random), {len(wrong)} wrong")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
