"""What a scraped, crowded admin port costs clients: CPU time per request with it and without.

What is promised: a scrape every second and 200 idle connections change it by less than 2 %. One
memtandem is under one steady load, nine gets to a set. In every second leg 200 connections stand idle
on its admin port and /metrics is scraped once, which in legs of a quarter of a second is four times
as often as promised; in the legs between, nobody is there. So both kinds have the same process,
memory and clients, and a leg is compared only with the one beside it, whose turn came first as often
as second: short legs, because a shared machine's mood changes from second to second. CPU time is the
kernel's count for each thread in nanoseconds (/proc/PID/task/TID/schedstat), which tells apart

  data    every thread but `admin`: what requests cost, slowed down by the neighbour or not
  total   the whole process, the answers to the scrapes included

The figure of either is the median over the pairs of legs, with the interval in which the median of
all such pairs lies with 95 % confidence (by ranks, whatever the distribution). Pairs are added until
the interval of `total` is on one side of the bar. Pairs in which the machine was busy elsewhere are
left out: where a leg got through far fewer requests than its neighbour, each of them cost more.

  admin_cost.py [--pairs-min N] [--pairs-max N] [--seconds S] [--threads N] [--pipeline N]
                [--scrapes N] [--idle N] [--bar RATIO]

`--scrapes 0 --idle 0` compares nothing with nothing: what the method itself is worth.
"""

import argparse
import contextlib
import http.client
import math
import os
import socket
import statistics
import sys
import tempfile
import time

from versus import CONNECTIONS, KEYS, MEMORY_MIB, VALUE_SIZE, fill
import admin  # noqa: E402, versus knows where it is
from harness import HOST, Node, eventually, run_load  # noqa: E402

SET_RATIO = 0.1
BAR = 1.02
RATE_APART = 1.3  # of the requests of two legs, beyond which they are not compared
CONFIDENCE = 1.96  # standard deviations


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs-min", type=int, default=200)
    parser.add_argument("--pairs-max", type=int, default=800)
    parser.add_argument("--seconds", type=float, default=0.25)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pipeline", type=int, default=1)
    parser.add_argument("--scrapes", type=int, default=1, help="in a leg")
    parser.add_argument("--idle", type=int, default=200)
    parser.add_argument("--bar", type=float, default=BAR)
    return parser.parse_args()


class Visitors:
    """Who is at the admin port: idle connections, and one that scrapes; until close()."""

    def __init__(self, node, idle):
        self._node = node
        self._stack = contextlib.ExitStack()
        for _ in range(idle):
            self._stack.enter_context(socket.create_connection((HOST, node.admin_port), 20))
        self._connection = http.client.HTTPConnection(HOST, node.admin_port, timeout=20)
        self.scrape()  # the node has taken all of them before anything is counted

    def scrape(self):
        self._connection.request("GET", "/metrics")
        reply = self._connection.getresponse()
        body = reply.read()
        assert reply.status == 200 and b"\nmemtandem_" in body, (reply.status, body[:100])

    def close(self):
        self._connection.close()
        self._stack.close()
        eventually(lambda: self._node.process.descriptors() < CONNECTIONS + 40, 10,
                   "the node has noticed that they left")


class Clock:
    """CPU time of the threads of a process, and the requests that it has answered."""

    def __init__(self, node):
        self._tasks = f"/proc/{node.pid}/task"
        self._client = node.client()

    def read(self):
        """Nanoseconds of the data path, of all threads, and requests."""
        data = total = 0
        for task in os.listdir(self._tasks):
            with open(f"{self._tasks}/{task}/comm", encoding="ascii") as comm:
                name = comm.read().strip()
            with open(f"{self._tasks}/{task}/schedstat", encoding="ascii") as schedstat:
                spent = int(schedstat.read().split()[0])
            total += spent
            data += 0 if name == "admin" else spent
        rows = self._client.stats()
        return data, total, int(rows["cmd_get"]) + int(rows["cmd_set"])


def leg(clock, seconds, visitors=None, scrapes=0):
    """(data, total) microseconds per request of this time, and the number of requests."""
    before = clock.read()
    end = time.monotonic() + seconds
    for left in range(scrapes if visitors else 0, 0, -1):
        time.sleep(max(0.0, end - time.monotonic()) / (left + 1))
        visitors.scrape()
    time.sleep(max(0.0, end - time.monotonic()))  # what is measured is what happens meanwhile
    data, total, requests = (now - then for now, then in zip(clock.read(), before))
    if requests == 0:
        sys.exit("no request was answered: there is no load")
    return data / requests / 1000, total / requests / 1000, requests


def median_interval(values):
    """Between which of them the median of all such values lies, by their ranks."""
    ordered = sorted(values)
    reach = CONFIDENCE * math.sqrt(len(ordered)) / 2
    low = max(0, math.floor(len(ordered) / 2 - reach))
    high = min(len(ordered) - 1, math.ceil(len(ordered) / 2 + reach))
    return ordered[low], ordered[high]


def told(what, ratios):
    low, high = median_interval(ratios)
    quarters = statistics.quantiles(ratios, n=4)
    print(f"{what}: median ratio {statistics.median(ratios):.4f}, 95 % within {low:.4f}.."
          f"{high:.4f}; half of the pairs {quarters[0]:.3f}..{quarters[2]:.3f}, all "
          f"{min(ratios):.3f}..{max(ratios):.3f}", flush=True)


def one_pair(node, clock, options, crowded_first, visitors):
    """Two legs, {crowded: (data, total, requests)}, and the visitors that are there after them.

    The crowded legs of two pairs are neighbours, so that who comes stays for two.
    """
    legs = {}
    for crowded in (crowded_first, not crowded_first):
        if crowded and not visitors:
            visitors = Visitors(node, options.idle)
        elif not crowded and visitors:
            visitors.close()
            visitors = None
        legs[crowded] = leg(clock, options.seconds, visitors, options.scrapes)
    return legs, visitors


def measure(node, options):
    """Pairs of legs until the bar is decided; True if what is promised holds."""
    clock = Clock(node)
    leg(clock, options.seconds)  # what comes first is not like the rest
    ratios, costs, left_out, visitors = [], [], 0, None
    while True:
        crowded_first = (len(ratios) + left_out) % 2 == 0
        legs, visitors = one_pair(node, clock, options, crowded_first, visitors)
        requests = sorted(each[2] for each in legs.values())
        if requests[1] > requests[0] * RATE_APART:
            left_out += 1
        else:
            ratios.append(tuple(legs[True][i] / legs[False][i] for i in range(2)))
            costs.append(legs)
        if left_out > options.pairs_max:
            sys.exit("the machine is too busy: hardly two legs are alike")
        if len(ratios) < options.pairs_min:
            continue
        low, high = median_interval([total for _, total in ratios])
        if high < options.bar or low > options.bar or len(ratios) >= options.pairs_max:
            break
    if visitors:
        visitors.close()
    print(f"{len(ratios)} pairs of legs of {options.seconds:g} s, {left_out} more left out")
    for i, what in enumerate(("data path", "total")):
        with_them, without = (statistics.median(legs[crowded][i] for legs in costs)
                              for crowded in (True, False))
        told(f"{what} {with_them:.3f} us per request beside {without:.3f} us",
             [ratio[i] for ratio in ratios])
    print(f"bar {options.bar}: " + ("held" if high < options.bar else "exceeded"
                                    if low > options.bar else "not decided by so many pairs"))
    return high < options.bar


def main():
    options = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="memtandem-bench-") as directory:
        node = admin.configure(Node(directory, "memtandem", MEMORY_MIB,
                                    ["-t", str(options.threads)])).start()
        fill(node)
        load = run_load(node, "--connections", CONNECTIONS, "--pipeline", options.pipeline,
                        "--value-size", VALUE_SIZE, "--keys", KEYS, "--set-ratio", SET_RATIO,
                        "--duration", 3600)
        try:
            print(f"{CONNECTIONS} connections, pipeline {options.pipeline}, 1 set to 9 gets, values "
                  f"of {VALUE_SIZE} bytes, {options.threads} worker threads; beside "
                  f"{options.scrapes / options.seconds:g} scrapes a second, {options.idle} idle connections")
            held = measure(node, options)
        finally:
            load.terminate()
            load.communicate()
            node.kill()
        if load.returncode:
            sys.exit("a client of the load got a wrong answer")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
