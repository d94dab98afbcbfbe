"""Nonsense and malice on both ports: refused, bounded in memory, and the rest goes on.

The hello of a real node is taken from the wire, so that damaged forms of it get past the first
checks without this test knowing the format.
"""

import contextlib
import os
import random
import socket
import struct
import time
import unittest.mock

from client import ConnectionLost
from fault_proxy import BACKWARD, FORWARD, FaultProxy
from harness import (HOST, MEBIBYTE, SLOWDOWN, PairTest, contents, differences, eventually,
                     free_port, main, wait_in_sync)

HANDSHAKE_SECONDS = 5   # a peer that has not said a valid hello by then is gone
KEYS = [f"key{i}" for i in range(1000)]


def closed_within(connection, seconds):
    """Reads until the other side closes; False when it has not by then."""
    deadline = time.monotonic() + seconds * SLOWDOWN
    while time.monotonic() < deadline:
        connection.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            if not connection.recv(65536):
                return True
        except socket.timeout:
            return False
        except OSError:
            return True
    return False


class BadPeers(PairTest):
    def setUp(self):
        super().setUp()
        self.random = random.Random(4)
        self.master = self.node("a").start()

    def dial_link(self, data=b""):
        connection = socket.create_connection((HOST, self.master.link_port), 5 * SLOWDOWN)
        self.addCleanup(connection.close)
        with contextlib.suppress(OSError):  # it may be closed while we still send
            connection.sendall(data)
        return connection

    def assert_well(self):
        """It serves clients, is master, and a real peer can join."""
        self.assertEqual(self.master.role(), "MASTER")
        with self.master.client() as client:
            replies = client.set_many({key: os.urandom(50) for key in KEYS})
            self.assertEqual(set(replies), {"STORED"})
        real = self.node("real").start(peer=self.master)
        wait_in_sync(self.master, real)
        self.assertEqual(differences(self.master, real, KEYS), [])
        real.kill_and_wait()

    def hello_of_a_real_node(self):
        """The first bytes that a node sends to the peer it dials."""
        with socket.create_server((HOST, free_port())) as listener:
            dialler = self.node("dialler").start(peer=listener.getsockname()[1], wait=False)
            listener.settimeout(5 * SLOWDOWN)
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(2 * SLOWDOWN)
                hello = connection.recv(65536)
            dialler.kill_and_wait()
        self.assertGreater(len(hello), 16)
        return hello

    def test_garbage_on_the_link(self):
        before = self.master.process.rss_bytes()
        for size in [1, 3, 7, 8, 15, 16, 17, 24, 64, 1000, 65536] * 10:
            self.dial_link(self.random.randbytes(size)).close()
        for size in [64, 1000, 65536]:
            self.assertTrue(closed_within(self.dial_link(self.random.randbytes(size)),
                                          HANDSHAKE_SECONDS))
        for text in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"set k 0 0 1\r\nx\r\n" * 1000,
                     b"\0" * 4096, b"\xff" * 4096):
            self.assertTrue(closed_within(self.dial_link(text), HANDSHAKE_SECONDS), text[:20])
        self.assertLess(self.master.process.rss_bytes() - before, 32 * MEBIBYTE)
        self.assert_well()

    def test_huge_lengths(self):
        before = self.master.process.rss_bytes()
        for length in (1 << 16, 1 << 24, 1 << 30, (1 << 31) - 1, 1 << 31, (1 << 32) - 1):
            for tail in (b"", bytes(60), self.random.randbytes(60)):
                connection = self.dial_link(struct.pack("<I", length) + tail)
                if len(tail) > 0:
                    self.assertTrue(closed_within(connection, HANDSHAKE_SECONDS), length)
        self.assertLess(self.master.process.rss_bytes() - before, 32 * MEBIBYTE)
        self.assert_well()

    def test_a_damaged_hello(self):
        hello = self.hello_of_a_real_node()
        print(f"\n  a hello is {len(hello)} bytes")
        for position in range(len(hello)):
            damaged = bytearray(hello)
            damaged[position] ^= 1 << self.random.randrange(8)
            self.dial_link(bytes(damaged)).close()
        # A few are waited for: closed and not answered with data.
        for position in self.random.sample(range(4, len(hello)), 5):
            damaged = bytearray(hello)
            damaged[position] ^= 0x10
            self.assertTrue(closed_within(self.dial_link(bytes(damaged)), HANDSHAKE_SECONDS),
                            position)
        self.assert_well()

    def test_a_truncated_hello(self):
        hello = self.hello_of_a_real_node()
        for length in range(len(hello)):
            self.dial_link(hello[:length]).close()
        waiting = [self.dial_link(hello[:length]) for length in (0, 1, 4, len(hello) - 1)]
        for connection in waiting:
            self.assertTrue(closed_within(connection, HANDSHAKE_SECONDS))
        self.assert_well()

    def test_a_slow_hello(self):
        """A byte at a time, for ever: the handshake has a time limit, not each read."""
        hello = self.hello_of_a_real_node()
        connection = self.dial_link()
        connection.settimeout(0.1)
        deadline = time.monotonic() + HANDSHAKE_SECONDS * SLOWDOWN
        closed = False
        for byte in (hello[:-1] * 1000):
            try:
                connection.sendall(bytes([byte]))
                closed = connection.recv(65536) == b""
            except socket.timeout:
                pass
            except OSError:
                closed = True
            if closed or time.monotonic() > deadline:
                break
        self.assertTrue(closed)
        self.assert_well()

    def test_a_hello_without_a_follow_up(self):
        """A valid hello, then silence: no more than a dead peer, and no other is kept out."""
        connection = self.dial_link(self.hello_of_a_real_node())
        self.assertTrue(closed_within(connection, HANDSHAKE_SECONDS))
        self.assert_well()

    def test_a_thousand_half_open_handshakes(self):
        before = self.master.process.rss_bytes()
        held = []
        for _ in range(1000):
            connection = socket.socket()
            connection.setblocking(False)
            connection.connect_ex((HOST, self.master.link_port))
            held.append(connection)
        try:
            with self.master.client() as client:
                self.assertEqual(client.set("during", b"it"), "STORED")
            self.assert_well()  # a real peer joins while they are there
            peak = self.master.process.rss_bytes()
            self.assertLess(peak - before, 64 * MEBIBYTE)
            eventually(lambda: self.master.process.descriptors() < 100, 2 * HANDSHAKE_SECONDS,
                       lambda: f"they are closed, {self.master.process.descriptors()} are open")
        finally:
            for connection in held:
                connection.close()
        self.assert_well()

    def test_garbage_from_clients(self):
        before = self.master.process.rss_bytes()
        lines = [b"\r\n", b"get\r\n", b"set k\r\n", b"set k 0 0 -1\r\n", b"set k a b c\r\n",
                 b"x" * 2047 + b"\r\n", b"get " + b"k" * 251 + b"\r\n", b"\0\r\n",
                 b"set k 0 0 99999999999999999999\r\n", b"incr\r\n", b"cas k 0 0 1\r\nx\r\n"]
        for line in lines:
            with self.master.client() as client:
                client.send(line)
                client.send(b"version\r\n")
                with contextlib.suppress(ConnectionLost):
                    eventually(lambda c=client: c.line().startswith("VERSION"), 2,
                               f"the session is in step after {line[:40]!r}")
        for _ in range(200):
            with contextlib.suppress(ConnectionLost, OSError), self.master.client() as client:
                client.send(self.random.randbytes(self.random.randrange(1, 20000)))
        with self.master.client() as client:  # no line end, ever
            with contextlib.suppress(ConnectionLost):
                for _ in range(200):
                    client.send(b"a" * 65536)
        self.assertLess(self.master.process.rss_bytes() - before, 32 * MEBIBYTE)
        self.assert_well()

    def test_clients_that_read_nothing(self):
        """Replies pile up at clients that ask and never read: bounded, and others go on."""
        with self.master.client() as client:
            self.assertEqual(client.set("big", b"x" * 1000000), "STORED")
        before = self.master.process.rss_bytes()
        greedy = []
        for _ in range(20):
            connection = socket.create_connection((HOST, self.master.port), 5)
            connection.setblocking(False)
            greedy.append(connection)
            with contextlib.suppress(BlockingIOError):
                for _ in range(1000):
                    connection.send(b"get big\r\n")
        with self.master.client() as client:
            for turn in range(200):
                self.assertEqual(client.set(f"other{turn}", b"v"), "STORED")
        grown = self.master.process.rss_bytes() - before
        print(f"\n  20 such clients asked for 20 GB: {grown >> 20} MiB more resident")
        self.assertLess(grown, 256 * MEBIBYTE)
        for connection in greedy:
            connection.close()
        self.assert_well()


class DamagedLink(PairTest):
    """Two real nodes with a proxy between them."""

    def setUp(self):
        super().setUp()
        # Both live through every break here, and a sanitized slave redials slowly: it must have the
        # time to find that its master answers.
        grace = unittest.mock.patch.dict(
            os.environ, {"MEMTANDEM_REPLICATION_TAKEOVER_GRACE": "2s"})
        grace.start()
        self.addCleanup(grace.stop)
        self.master = self.node("a", memory_mib=128).start()
        self.proxy = FaultProxy(self.master.link_port)
        self.addCleanup(self.proxy.close)
        self.slave = self.node("b", memory_mib=128).start(peer=self.proxy.port)
        wait_in_sync(self.master, self.slave)

    def write(self, text):
        with self.master.client() as client:
            replies = client.set_many({key: f"{text} {key}".encode() for key in KEYS})
        self.assertEqual(set(replies), {"STORED"})

    def assert_equal_nodes(self):
        """Whole again."""
        wait_in_sync(self.master, self.slave)
        self.assertEqual(differences(self.master, self.slave, KEYS), [])

    def test_a_flipped_bit_ends_the_session_and_nothing_is_lost(self):
        for turn in range(5):
            self.master.mark()
            self.proxy.flip_one = True
            self.write(f"turn {turn}")
            self.master.wait_log("replication: close")
            self.assert_equal_nodes()
            self.assertEqual(sorted(contents(self.slave, KEYS)), sorted(KEYS))

    def test_a_stream_cut_into_single_bytes(self):
        self.proxy.bytes_per_read = 1
        with self.master.client() as client:
            client.set_many({key: key.encode() for key in KEYS[:100]})
        eventually(lambda: not differences(self.master, self.slave, KEYS[:100]), 10,
                   "the records arrive byte by byte")

    def test_connections_cut_again_and_again(self):
        for turn in range(10):
            self.write(f"turn {turn}")
            self.proxy.cut()
        self.assert_equal_nodes()
        self.assertEqual(self.master.role(), "MASTER", "a broken link is no dead master")

    def test_one_direction_swallowed(self):
        for direction in (FORWARD, BACKWARD):
            self.master.mark()
            self.proxy.swallowed = {direction}
            self.write(f"direction {direction}")
            self.master.wait_log("replication: close")
            self.proxy.swallowed = set()
            self.proxy.cut()
            self.assert_equal_nodes()

    def test_a_peer_that_stops_reading_costs_no_memory(self):
        """Long enough to be declared dead, under a load that would fill any queue."""
        self.write("before")
        before = self.master.process.rss_bytes()
        self.proxy.stalled = {FORWARD, BACKWARD}
        deadline = time.monotonic() + 2
        with self.master.client() as client:
            turn = 0
            while time.monotonic() < deadline:
                client.set_many({key: f"{turn} ".encode() * 200 for key in KEYS})
                turn += 1
        grown = self.master.process.rss_bytes() - before
        print(f"\n  {turn * len(KEYS)} sets against a stalled peer: {grown >> 20} MiB more")
        self.assertLess(grown, 48 * MEBIBYTE)
        self.proxy.stalled = set()
        self.proxy.cut()
        self.assert_equal_nodes()


if __name__ == "__main__":
    main()
