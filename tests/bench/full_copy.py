"""How fast an empty node is filled: memtandem beside Redis (diskless) and Repcached, same data.

Each server is filled with the same number of keys and values of the same size, then an empty
second process joins and the time is taken until it is in sync. What is not installed or given is
left out. Servers take turns; figures are medians over the rounds.

  full_copy.py [--items N] [--value-size B] [--rounds N] [--repcached PATH] [--redis PATH]
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
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from client import Client, ConnectionLost  # noqa: E402
from harness import (AS_ROOT, HOST, Node, die_with_parent, free_port, load_result,  # noqa: E402
                     run_load)

BARS = {"redis": 1.5, "repcached": 10}
PATIENCE = 600  # seconds
MEMORY_PER_ITEM = 160  # bytes, and the value


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ConnectionLost, ValueError, KeyError):
            if condition():
                return
        time.sleep(0.002)
    raise AssertionError(f"not within {PATIENCE} s: {what}")


class Spawned:
    def __init__(self, *command):
        self.child = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)

    def end(self):
        self.child.kill()
        self.child.wait()


def fill(port, options):
    class Port:  # what run_load wants of a node
        pass
    target = Port()
    target.port = port
    result, errors = load_result(run_load(
        target, "--fill", "--keys", options.items, "--value-size", options.value_size,
        "--pipeline", 32), PATIENCE)
    assert (result["errors"], errors) == (0, ""), errors


def memory_mib(options):
    return options.items * (options.value_size + MEMORY_PER_ITEM) * 3 // 2 >> 20


def memtandem(options, directory):
    master = Node(directory, "master", max(64, memory_mib(options)), ["-t", "2"]).start()
    try:
        fill(master.port, options)
        slave = Node(directory, "slave", max(64, memory_mib(options)), ["-t", "2"])
        began = time.monotonic()
        cpu = master.process.cpu_seconds()
        slave.start(peer=master, wait=False)
        with master.client(20) as client:
            wait_until(lambda: client.stats("replication")["peer_in_sync"] == "yes", "in sync")
        took = time.monotonic() - began
        print(f"    CPU: master {master.process.cpu_seconds() - cpu:.2f} s, "
              f"newcomer {slave.process.cpu_seconds():.2f} s")
        items = int(slave.stats()["curr_items"])
        assert items == options.items, items
        slave.kill_and_wait()
        return took
    finally:
        master.kill_and_wait()


def redis_cli(port, *words):
    return subprocess.run(["redis-cli", "-p", str(port), *words], capture_output=True, text=True,
                          check=True).stdout


def redis(options, directory):
    def start(name):
        port = free_port()
        server = Spawned(options.redis, "--port", str(port), "--save", "", "--appendonly", "no",
                         "--dir", str(directory), "--dbfilename", f"{name}.rdb",
                         "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0",
                         "--repl-diskless-load", "on-empty-db",
                         "--enable-debug-command", "yes")
        wait_until(lambda: "PONG" in subprocess.run(
            ["redis-cli", "-p", str(port), "ping"], capture_output=True, text=True,
            check=False).stdout, "redis answers")
        return server, port

    master, port = start("master")
    try:
        redis_cli(port, "debug", "populate", str(options.items), "key", str(options.value_size))
        replica, replica_port = start("replica")
        began = time.monotonic()
        redis_cli(replica_port, "replicaof", HOST, str(port))
        wait_until(lambda: "master_link_status:up" in redis_cli(replica_port, "info",
                                                                "replication"), "in sync")
        took = time.monotonic() - began
        assert redis_cli(replica_port, "dbsize").strip() == str(options.items)
        replica.end()
        return took
    finally:
        master.end()


def repcached(options, _directory):
    link_port, ports = free_port(), [free_port(), free_port()]

    def start(port, *more):
        return Spawned(options.repcached, *AS_ROOT, "-l", HOST, "-p", str(port), "-m",
                       str(2 * memory_mib(options)), "-X", str(link_port), *more)

    def items(port):
        with Client(HOST, port, 20) as client:
            return int(client.stats()["curr_items"])

    master = start(ports[0])
    try:
        wait_until(lambda: items(ports[0]) == 0, "repcached answers")
        fill(ports[0], options)
        began = time.monotonic()
        slave = start(ports[1], "-x", HOST)
        wait_until(lambda: items(ports[1]) >= options.items, "in sync")
        took = time.monotonic() - began
        slave.end()
        return took
    finally:
        master.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--items", type=int, default=5000000)
    parser.add_argument("--value-size", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--redis", default=shutil.which("redis-server"))
    parser.add_argument("--repcached", default=os.environ.get("REPCACHED"))
    options = parser.parse_args()
    contestants = {"memtandem": memtandem}
    if options.redis:
        contestants["redis"] = redis
    if options.repcached:
        contestants["repcached"] = repcached
    seconds = {name: [] for name in contestants}
    for number in range(options.rounds):
        for name, run in contestants.items():
            with tempfile.TemporaryDirectory(prefix="memtandem-bench-") as directory:
                seconds[name].append(run(options, directory))
            print(f"  round {number + 1}, {name}: {options.items} items of {options.value_size} B "
                  f"in {seconds[name][-1]:.2f} s, {options.items / seconds[name][-1]:.0f}/s",
                  flush=True)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    missed = False
    for name, bar in BARS.items():
        if name not in medians:
            print(f"{name}: left out")
            continue
        ratio = medians[name] / medians["memtandem"]
        missed = missed or ratio < bar
        print(f"memtandem's rate through {name}'s: {ratio:.2f} (bar {bar})")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
