"""Two servers under the same load in turn, and what it cost each: for the cpu_per_*.py benchmarks.

CPU time is user + system of the server process from /proc/PID/stat over the load's own count of
answered requests. Servers take turns, and the order alternates from round to round, so that a
machine that slows down or speeds up does not favour one.
"""

import dataclasses
import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from client import Client  # noqa: E402
from harness import (HOST, Process, die_with_parent, eventually, free_port,  # noqa: E402
                     load_result, run_load)

CONNECTIONS = 50
PIPELINES = (1, 16)
VALUE_SIZE = 100
KEYS = 100000
MEMORY_MIB = 512


class Memcached:
    """A stock server; `path` is its executable. Ends with kill() or with this process."""

    def __init__(self, path, threads):
        self.name = "memcached"
        self.port = free_port()
        command = [path, "-u", "nobody", "-l", HOST, "-p", str(self.port), "-U", "0",
                   "-m", str(MEMORY_MIB), "-t", str(threads)]
        self._child = subprocess.Popen(command, preexec_fn=die_with_parent)
        self.process = Process(self._child.pid)
        with eventually(lambda: Client(HOST, self.port), 5, "memcached listens") as client:
            self.version = client.command("version").split()[-1]

    def kill(self):
        self._child.kill()
        self._child.wait()


@dataclasses.dataclass
class Cost:
    """Of one round: microseconds of CPU time per request, of the server and of its peer."""

    server: float
    peer: float
    requests_per_s: float


def fill(server):
    """Every key once: the cache is as full as it will be, and the process warm."""
    load_result(run_load(server, "--fill", "--keys", KEYS, "--value-size", VALUE_SIZE))


def measure(server, pipeline, seconds, set_ratio=1.0, peer=None, settle=lambda: None):
    """One round of load. It ends when `settle` returns, whose cost counts as well."""
    peer_process = peer.process if peer else None
    before = server.process.cpu_seconds()
    peer_before = peer_process.cpu_seconds() if peer_process else 0
    result, errors = load_result(run_load(
        server, "--connections", CONNECTIONS, "--pipeline", pipeline, "--value-size", VALUE_SIZE,
        "--keys", KEYS, "--set-ratio", set_ratio, "--duration", seconds))
    if result["errors"]:
        raise AssertionError(errors)
    settle()
    used = server.process.cpu_seconds() - before
    peer_used = peer_process.cpu_seconds() - peer_before if peer_process else 0
    return Cost(1e6 * used / result["ops"], 1e6 * peer_used / result["ops"], result["ops_per_s"])


def in_turn(rounds, first, second):
    """Calls both in each round, the order alternating; yields (number, one result, the other)."""
    for number in range(rounds):
        if number % 2 == 0:
            one = first()
            yield number + 1, one, second()
        else:
            other = second()
            yield number + 1, first(), other


def median_ratio(what, ratios, bar):
    """Prints the median with the range it comes from, and returns it."""
    ratio = statistics.median(ratios)
    print(f"{what}: median ratio {ratio:.2f} (from {min(ratios):.2f} to {max(ratios):.2f}), "
          f"bar {bar}", flush=True)
    return ratio
