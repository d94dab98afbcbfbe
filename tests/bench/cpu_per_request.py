"""Server CPU time per request, nine gets to a set: a lone memtandem against memcached.

Both with one worker thread and with four, without and with pipelining. Every other memtandem given
with --beside takes part too: so two builds are compared in one run, where a change is worth a few
hundredths and the machine's mood more. The figure is the median of memtandem's time through
memcached's, over the rounds in which nothing else kept the machine busy.

  cpu_per_request.py [--memcached PATH] [--beside NAME=PATH]... [--rounds N] [--seconds S]
                     [--threads N,N] [--pipelines N,N] [--bar-pipelined RATIO] [--bar RATIO]
"""

import argparse
import contextlib
import os
import shutil
import statistics
import sys
import tempfile

from versus import (CONNECTIONS, MEMORY_MIB, PIPELINES, VALUE_SIZE, Memcached, fill, measure,
                    median_ratio)
from harness import SKIPPED, Node  # noqa: E402, versus knows where it is

SET_RATIO = 0.1
THREADS = (1, 4)
# What replaces a cache has to cost no more than it. At one request to a system call the kernel's
# share, the same for both, is most of the time, and only the rest is ours to be better at.
BAR = 1.05
BAR_PIPELINED = 0.85
ROUNDS_MIN = 3  # that count, or all do


def numbers(text):
    return tuple(int(word) for word in text.split(","))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--memcached", default=os.environ.get("MEMCACHED", "memcached"))
    parser.add_argument("--beside", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--threads", type=numbers, default=THREADS)
    parser.add_argument("--pipelines", type=numbers, default=PIPELINES)
    parser.add_argument("--bar", type=float, default=BAR)
    parser.add_argument("--bar-pipelined", type=float, default=BAR_PIPELINED)
    return parser.parse_args()


class Binary(Node):
    """A node of another build."""

    def __init__(self, directory, name, path, flags):
        super().__init__(directory, name, MEMORY_MIB, flags)
        self._path = path

    def arguments(self):
        return [self._path, *super().arguments()[1:]]


def start(options, threads, directory, stack):
    """memcached, memtandem, and what else is to be measured, warm."""
    servers = [Memcached(options.memcached, threads)]
    stack.callback(servers[0].kill)
    flags = ["-t", str(threads)]
    nodes = [Node(directory, "memtandem", MEMORY_MIB, flags)]
    for pair in options.beside:
        name, path = pair.split("=", 1)
        nodes.append(Binary(directory, name, path, flags))
    for node in nodes:
        servers.append(node.start())
        stack.callback(node.kill)
    for server in servers:
        fill(server)
    return servers


def undisturbed(rounds):
    """The rounds in which the machine had time for every server.

    One that gets little of it handles few requests to a wake-up, and then each costs half as much
    again, whichever server it is.
    """
    best = {name: max(one[name].requests_per_s for one in rounds) for name in rounds[0]}
    good = [one for one in rounds
            if all(cost.requests_per_s >= best[name] / 2 for name, cost in one.items())]
    return good if len(good) >= ROUNDS_MIN else rounds


def compare(servers, threads, pipeline, options):
    """Prints every round; returns whether memtandem's median ratio is within its bar."""
    stock, *ours = servers
    bar = options.bar if pipeline == 1 else options.bar_pipelined
    rounds = []
    for number in range(options.rounds):
        order = servers if number % 2 == 0 else reversed(servers)
        rounds.append({server.name: measure(server, pipeline, options.seconds, SET_RATIO)
                       for server in order})
        print(f"  -t {threads}, pipeline {pipeline:2}, round {number + 1}: " + ", ".join(
            f"{name} {cost.server:5.2f} us ({cost.requests_per_s:7.0f}/s)"
            for name, cost in rounds[-1].items()), flush=True)
    good = undisturbed(rounds)
    medians = []
    for node in ours:
        us = statistics.median(one[node.name].server for one in good)
        medians.append(median_ratio(
            f"-t {threads}, pipeline {pipeline}, {len(good)} rounds, {node.name} {us:.2f} us",
            [one[node.name].server / one[stock.name].server for one in good], bar))
    return medians[0] <= bar


def main():
    options = parse_arguments()
    options.memcached = shutil.which(options.memcached)
    if not options.memcached:
        print("memcached is not installed: nothing to compare with")
        return SKIPPED
    within = []
    for threads in options.threads:
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="memtandem-bench-"))
            servers = start(options, threads, directory, stack)
            print(f"memcached {servers[0].version}, {CONNECTIONS} connections, 1 set to 9 gets, "
                  f"values of {VALUE_SIZE} bytes, {threads} worker threads each")
            within += [compare(servers, threads, pipeline, options)
                       for pipeline in options.pipelines]
    return 0 if all(within) else 1


if __name__ == "__main__":
    sys.exit(main())
