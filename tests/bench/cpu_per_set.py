"""Server CPU time per set: a memtandem master with a live peer against memcached without one.

Both servers get the same load in turn, several rounds each (the order alternates, so that a
machine that slows down or speeds up does not favour one). CPU time is user + system of the server
process from /proc/PID/stat over the load's own count of answered sets; the peer's process is not
counted. The figure is the median over the rounds of memtandem's time through memcached's.

  cpu_per_set.py [--rounds N] [--seconds S] [--bar RATIO] [--no-peer]
"""

import argparse
import contextlib
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from client import Client  # noqa: E402
from harness import (HOST, SKIPPED, Node, Process, binary, die_with_parent,  # noqa: E402
                     eventually, free_port, load_result, run_load, wait_in_sync)

CONNECTIONS = 50
PIPELINES = (1, 16)
VALUE_SIZE = 100
KEYS = 100000
MEMORY_MIB = 512
THREADS = 2  # of either server


class Memcached:
    """The stock server of the distribution."""

    def __init__(self):
        self.name = "memcached"
        self.port = free_port()
        command = [binary("MEMCACHED", "memcached"), "-u", "nobody", "-l", HOST, "-p",
                   str(self.port), "-U", "0", "-m", str(MEMORY_MIB), "-t", str(THREADS)]
        self.child = subprocess.Popen(command, preexec_fn=die_with_parent)
        self.process = Process(self.child.pid)
        with eventually(lambda: Client(HOST, self.port), 5, "memcached listens") as client:
            self.version = client.command("version").split()[-1]


def measure(server, pipeline, seconds, peer=None):
    """One round: (CPU microseconds per set, sets per second, the peer's microseconds).

    With a peer it ends when the last set has been mirrored, so that this is paid for as well.
    """
    peer_process = peer.process if peer else None
    before = server.process.cpu_seconds()
    peer_before = peer_process.cpu_seconds() if peer_process else 0
    result, errors = load_result(run_load(
        server, "--connections", CONNECTIONS, "--pipeline", pipeline, "--value-size", VALUE_SIZE,
        "--keys", KEYS, "--duration", seconds))
    if result["errors"]:
        raise AssertionError(errors)
    if peer:
        wait_in_sync(server, peer, 20)
    used = server.process.cpu_seconds() - before
    peer_used = peer_process.cpu_seconds() - peer_before if peer_process else 0
    return (1e6 * used / result["ops"], result["ops_per_s"], 1e6 * peer_used / result["ops"])


def compare(stock, master, slave, pipeline, options):
    """Prints every round and returns the median ratio."""
    ratios = []
    for number in range(options.rounds):
        figures = {}
        order = [stock, master] if number % 2 == 0 else [master, stock]
        for server in order:
            figures[server.name] = measure(server, pipeline, options.seconds,
                                           slave if server is master else None)
        theirs, ours = figures[stock.name], figures[master.name]
        ratios.append(ours[0] / theirs[0])
        print(f"  pipeline {pipeline:2}, round {number + 1}: memcached {theirs[0]:6.2f} us/set "
              f"({theirs[1]:7.0f}/s), memtandem {ours[0]:6.2f} us/set ({ours[1]:7.0f}/s, "
              f"its peer {ours[2]:5.2f} us), ratio {ratios[-1]:.2f}", flush=True)
    ratio = statistics.median(ratios)
    print(f"pipeline {pipeline}: median ratio {ratio:.2f} "
          f"(from {min(ratios):.2f} to {max(ratios):.2f}), bar {options.bar}", flush=True)
    return ratio


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--bar", type=float, default=1.3)
    parser.add_argument("--no-peer", action="store_true", help="a lone master, for comparison")
    options = parser.parse_args()
    if not shutil.which("memcached"):
        print("memcached is not installed: nothing to compare with")
        return SKIPPED
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="memtandem-bench-"))
        stock = Memcached()
        stack.callback(stock.child.kill)
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
        for server in (stock, master):  # both caches full, both processes warm
            load_result(run_load(server, "--fill", "--keys", KEYS, "--value-size", VALUE_SIZE))
        ratios = [compare(stock, master, slave, pipeline, options) for pipeline in PIPELINES]
    return 0 if max(ratios) <= options.bar else 1


if __name__ == "__main__":
    sys.exit(main())
