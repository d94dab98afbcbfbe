"""A peer that takes 1 MB/s while far more is written: the master's memory and clients do not feel it.

  test_slow_peer.py [--seconds N] [--heartbeat-seconds N]    of load in each measurement (1, 4)
"""

import argparse
import statistics
import struct
import sys
import time
import unittest

from fault_proxy import BACKWARD, FORWARD, FaultProxy
from harness import (MEBIBYTE, SLOWDOWN, PairTest, eventually, load_result, run_load, wait_in_sync)

MEMORY_MIB = 64
ROUNDS = 3  # measurements of each kind, taken in turns
RATE = 1_000_000  # bytes a second that the peer takes
SETS_PER_SECOND = 100_000
DEAD_AFTER = 1.0  # seconds, as the nodes are started

settings = argparse.Namespace(seconds=1.0, heartbeat_seconds=4.0)


class Pongs:
    """Reads what a slave sends, and how long its answers to pings have been on their way.

    A pong has the ping's bytes, which are its sender's steady clock in microseconds; ours is the
    same.
    """

    HEADER, PONG = struct.Struct("<IBBHQI"), 5

    def __init__(self):
        self.trips = []  # seconds
        self._buffer = bytearray()

    def __call__(self, data):
        self._buffer += data
        while len(self._buffer) >= self.HEADER.size:
            size, kind, *_ = self.HEADER.unpack_from(self._buffer)
            end = self.HEADER.size + size
            if len(self._buffer) < end:
                return
            if kind == self.PONG:
                sent, = struct.unpack_from("<q", self._buffer, self.HEADER.size)
                self.trips.append(time.monotonic() - sent / 1e6)
            del self._buffer[:end]


class SlowPeer(PairTest):
    def setUp(self):
        super().setUp()
        self.master = self.node("master", memory_mib=MEMORY_MIB).start()
        self.proxy = FaultProxy(self.master.link_port)
        self.addCleanup(self.proxy.close)
        self.slave = self.node("slave", memory_mib=MEMORY_MIB).start(peer=self.proxy.port)
        wait_in_sync(self.master, self.slave)

    def load(self):
        """The p99 in microseconds of clients that set all they can."""
        running = run_load(self.master, "--connections", 8, "--pipeline", 16, "--set-ratio", 1,
                           "--keys", 200_000, "--value-size", 100, "--duration", settings.seconds)
        figures, errors = load_result(running)
        self.assertEqual(figures["errors"], 0, errors)
        return figures

    def test_clients_and_memory_do_not_feel_a_slow_peer(self):
        fast, slow, rates = [], [], []
        most = lag = 0
        for _ in range(ROUNDS):
            self.proxy.bytes_per_second[BACKWARD] = None
            wait_in_sync(self.master, self.slave, 60)
            fast.append(self.load()["p99_us"])
            wait_in_sync(self.master, self.slave, 60)
            self.proxy.bytes_per_second[BACKWARD] = RATE
            figures = self.load()
            slow.append(figures["p99_us"])
            rates.append(figures["ops_per_s"])
            rows = self.master.replication()
            self.assertEqual(rows["link"], "up", "a peer that takes something is alive")
            lag = max(lag, int(rows["lag_records"]))
            most = max(most, self.master.process.rss_bytes())
        ratio = statistics.median(slow) / statistics.median(fast)
        print(f"\n  {statistics.median(rates):.0f} sets/s; p99 {statistics.median(fast):.0f} us, "
              f"with a slow peer {statistics.median(slow):.0f} us: ratio {ratio:.2f}; lag up to "
              f"{lag} records; resident {most >> 20} MiB of {MEMORY_MIB}")
        self.assertGreater(lag, 10_000, "the peer was not slow")
        self.assertLess(most, MEMORY_MIB * MEBIBYTE + 24 * MEBIBYTE)
        self.assertLessEqual(ratio, 1.2 if SLOWDOWN == 1 else 3)

    def test_heartbeats_do_not_wait_for_data(self):
        """From the moment when the peer gets slow: it is never taken for dead, and pings return."""
        wait_in_sync(self.master, self.slave, 60)
        connects = self.master.replication()["connects"]
        pongs = Pongs()
        self.proxy.taps[FORWARD] = pongs
        self.proxy.bytes_per_second[BACKWARD] = RATE
        running = run_load(self.master, "--connections", 8, "--pipeline", 16, "--set-ratio", 1,
                           "--keys", 200_000, "--value-size", 100, "--rate", SETS_PER_SECOND,
                           "--duration", settings.heartbeat_seconds)
        figures, errors = load_result(running)
        self.assertEqual(figures["errors"], 0, errors)
        self.proxy.taps[FORWARD] = None
        trips = sorted(pongs.trips)
        p99 = trips[min(len(trips) - 1, int(len(trips) * 0.99))]
        print(f"\n  {figures['ops_per_s']:.0f} sets/s, a peer that takes {RATE >> 10} KiB/s: "
              f"{len(trips)} heartbeats, round trip median {1000 * statistics.median(trips):.0f} "
              f"ms, p99 {1000 * p99:.0f} ms, most {1000 * trips[-1]:.0f} ms")
        self.assertEqual(self.master.replication()["connects"], connects, "taken for dead")
        self.assertGreater(int(self.master.replication()["lag_records"]), 10_000)
        self.assertGreater(len(trips), 3 * settings.heartbeat_seconds)
        self.assertLess(p99, DEAD_AFTER / 4 * SLOWDOWN)

    def test_a_hot_key_is_under_way_once(self):
        """However often a key changes while the peer is slow, its state is sent about once."""
        self.proxy.stalled.add(BACKWARD)
        before = int(self.master.replication()["records_sent"])
        with self.master.client() as client:
            for turn in range(30):
                client.send(b"".join(b"set hot 0 0 8 noreply\r\n%08d\r\n" % (turn * 1000 + i)
                                     for i in range(1000)))
            self.assertEqual(client.get("hot"), b"00029999")
        self.proxy.stalled.clear()
        wait_in_sync(self.master, self.slave, 10)
        with self.slave.client() as client:
            eventually(lambda: client.get("hot") == b"00029999", 5, "the last state arrives")
        sent = int(self.master.replication()["records_sent"]) - before
        print(f"\n  30000 sets of one key: {sent} records sent")
        self.assertLess(sent, 15_000)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--heartbeat-seconds", type=float, default=4.0)
    settings, rest = parser.parse_known_args()
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
