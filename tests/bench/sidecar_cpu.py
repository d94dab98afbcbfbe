"""CPU time per request of what stands before a memcached: memtandem with cache.engine: memcached,
twemproxy (nutcracker), and memcached's own proxy where the one given has it (--enable-proxy).

All in front of one memcached, with one worker thread each; what that memcached uses does not
count. The figures are the medians of memtandem's time through the others', over the rounds in which
nothing else kept the machine busy.

  sidecar_cpu.py [--memcached PATH] [--proxy PATH] [--nutcracker PATH] [--rounds N] [--seconds S]
                 [--pipelines N,N]
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from cpu_per_request import SET_RATIO, numbers, undisturbed
from versus import CONNECTIONS, MEMORY_MIB, PIPELINES, VALUE_SIZE, Memcached, fill, measure, median_ratio
from client import Client  # noqa: E402, versus knows where it is
from harness import (AS_ROOT, HOST, SKIPPED, Node, Process, die_with_parent,  # noqa: E402
                     eventually, free_port)

# At pipeline 1 the kernel's share, the same for all, is most of the time.
BARS = {("nutcracker", 1): 0.85, ("nutcracker", 16): 0.35, ("proxy", 16): 0.9}


class Proxy:
    """A foreign proxy on a port of its own; `command` ends with this process."""

    def __init__(self, name, port, command, directory):
        self.name, self.port = name, port
        with open(directory / f"{name}.log", "wb") as log:
            self._child = subprocess.Popen(command, preexec_fn=die_with_parent, stdout=log,
                                           stderr=log, stdin=subprocess.DEVNULL)
        self.process = Process(self._child.pid)

        def answers():
            with Client(HOST, port, 1) as client:
                client.send(b"get k\r\n")
                return client.line() == "END"
        eventually(answers, 5, f"{name} answers")

    def kill(self):
        self._child.kill()
        self._child.wait()


def nutcracker(path, backend, directory):
    port = free_port()
    settings = directory / "nutcracker.yml"
    settings.write_text(f"pool:\n  listen: {HOST}:{port}\n  hash: fnv1a_64\n"
                        "  distribution: modula\n  auto_eject_hosts: false\n"
                        f"  servers:\n   - {HOST}:{backend}:1\n")
    return Proxy("nutcracker", port, [path, "-c", str(settings), "-a", HOST, "-s",
                                      str(free_port())], directory)


def memcached_proxy(path, backend, directory):
    port = free_port()
    routes = directory / "routes.lua"
    routes.write_text(f'pools{{ main = {{ backends = {{ "{HOST}:{backend}" }} }} }}\n'
                      'routes{ default = route_direct{ child = "main" } }\n')
    return Proxy("proxy", port, [path, *AS_ROOT, "-l", HOST, "-p", str(port), "-t", "1", "-o",
                                 f"proxy_config=routelib,proxy_arg={routes}"], directory)


def memtandem(backend, directory):
    settings = directory / "memtandem.yaml"
    settings.write_text(f"cache: {{engine: memcached}}\nbackend: {{address: '{HOST}:{backend}'}}\n")
    node = Node(directory, "memtandem", MEMORY_MIB, ["-t", "1", "--config", str(settings)]).start()
    eventually(lambda: node.stats()["backend"] == "up", 5, "the backend is up")
    return node


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--memcached", default=os.environ.get("MEMCACHED", "memcached"))
    parser.add_argument("--proxy", default="memcached")
    parser.add_argument("--nutcracker", default="nutcracker")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--pipelines", type=numbers, default=PIPELINES)
    return parser.parse_args()


def has_proxy(path):
    told = subprocess.run([path, "--help"], capture_output=True, text=True, check=False)
    return "proxy_config" in told.stdout


def compare(servers, pipeline, options):
    """Prints every round; returns whether all ratios are within their bars."""
    ours, *others = servers
    rounds = []
    for number in range(options.rounds):
        order = servers if number % 2 == 0 else reversed(servers)
        rounds.append({each.name: measure(each, pipeline, options.seconds, SET_RATIO)
                       for each in order})
        print(f"  pipeline {pipeline:2}, round {number + 1}: " + ", ".join(
            f"{name} {cost.server:5.2f} us ({cost.requests_per_s:7.0f}/s)"
            for name, cost in rounds[-1].items()), flush=True)
    good = undisturbed(rounds)
    us = statistics.median(one[ours.name].server for one in good)
    within = True
    for other in others:
        bar = BARS.get((other.name, pipeline), float("inf"))
        ratio = median_ratio(
            f"pipeline {pipeline}, {len(good)} rounds, {ours.name} {us:.2f} us, by {other.name}'s",
            [one[ours.name].server / one[other.name].server for one in good], bar)
        within = within and ratio <= bar
    return within


def main():
    options = parse_arguments()
    if not shutil.which(options.memcached) or not shutil.which(options.nutcracker):
        print("memcached or nutcracker is not installed: nothing to compare with")
        return SKIPPED
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="memtandem-bench-")))
        backend = Memcached(options.memcached, 1)
        stack.callback(backend.kill)
        servers = [memtandem(backend.port, directory),
                   nutcracker(options.nutcracker, backend.port, directory)]
        if has_proxy(options.proxy):
            servers.append(memcached_proxy(options.proxy, backend.port, directory))
        for each in servers:
            stack.callback(each.kill)
        fill(servers[0])
        print(f"before memcached {backend.version}, {CONNECTIONS} connections, 1 set to 9 gets, "
              f"values of {VALUE_SIZE} bytes")
        within = [compare(servers, pipeline, options) for pipeline in options.pipelines]
    return 0 if all(within) else 1


if __name__ == "__main__":
    sys.exit(main())
