"""Server CPU time per set: a memtandem master with a live peer against memcached without one.

The peer's process is not counted. The figure is the median over the rounds of memtandem's time
through memcached's.

  cpu_per_set.py [--rounds N] [--seconds S] [--bar RATIO] [--no-peer]
"""

import argparse
import contextlib
import os
import shutil
import sys
import tempfile

from versus import (CONNECTIONS, MEMORY_MIB, PIPELINES, VALUE_SIZE, Memcached, fill, in_turn,
                    measure, median_ratio)
from harness import SKIPPED, Node, wait_in_sync  # noqa: E402, versus knows where it is

THREADS = 2  # of either server


def compare(stock, master, slave, pipeline, options):
    """Prints every round and returns the median ratio."""
    def settle():  # when the last set has been mirrored, so that this is paid for as well
        if slave:
            wait_in_sync(master, slave, 20)

    ratios = []
    for number, theirs, ours in in_turn(
            options.rounds,
            lambda: measure(stock, pipeline, options.seconds),
            lambda: measure(master, pipeline, options.seconds, peer=slave, settle=settle)):
        ratios.append(ours.server / theirs.server)
        print(f"  pipeline {pipeline:2}, round {number}: memcached {theirs.server:6.2f} us/set "
              f"({theirs.requests_per_s:7.0f}/s), memtandem {ours.server:6.2f} us/set "
              f"({ours.requests_per_s:7.0f}/s, its peer {ours.peer:5.2f} us), "
              f"ratio {ratios[-1]:.2f}", flush=True)
    return median_ratio(f"pipeline {pipeline}", ratios, options.bar)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--bar", type=float, default=1.3)
    parser.add_argument("--no-peer", action="store_true", help="a lone master, for comparison")
    options = parser.parse_args()
    path = os.environ.get("MEMCACHED") or shutil.which("memcached")
    if not path:
        print("memcached is not installed: nothing to compare with")
        return SKIPPED
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="memtandem-bench-"))
        stock = Memcached(path, THREADS)
        stack.callback(stock.kill)
        flags = ["-t", str(THREADS)]
        master = Node(directory, "memtandem", MEMORY_MIB, flags).start()
        stack.callback(master.kill)
        slave = None
        if not options.no_peer:
            slave = Node(directory, "peer", MEMORY_MIB, flags).start(peer=master)
            stack.callback(slave.kill)
            wait_in_sync(master, slave)
        print(f"memcached {stock.version}, {CONNECTIONS} connections, sets of {VALUE_SIZE} bytes, "
              f"{THREADS} threads each")
        for server in (stock, master):
            fill(server)
        ratios = [compare(stock, master, slave, pipeline, options) for pipeline in PIPELINES]
    return 0 if max(ratios) <= options.bar else 1


if __name__ == "__main__":
    sys.exit(main())
