"""A TCP proxy between two nodes that can stall, slow down, damage or cut the link."""

import random
import select
import socket
import threading
import time

from harness import HOST, free_port

_SLICE = 0.02  # seconds' worth of bytes that are read at once, at a limited rate

FORWARD, BACKWARD = 0, 1  # from the dialling node to the dialled one, and the other way


class FaultProxy:
    """Listens on `port` and passes each connection on to `target_port`.

    Faults are attributes, changed at any time: `stalled` holds directions that are read no more
    (so that the sender's socket fills), `swallowed` directions that are read and thrown away,
    `flip_one` makes the next chunk carry one flipped bit, `bytes_per_read` slices the stream,
    `taps` (per direction) are called with all that passes, `cut_points` are counts of bytes passed backward at which the connection ends, and
    `bytes_per_second` (per direction, None: all there is) is the rate at which it is read.
    """

    def __init__(self, target_port):
        self.target_port = target_port
        self.port = free_port()
        self.stalled = set()
        self.swallowed = set()
        self.flip_one = False
        self.bytes_per_read = 65536
        self.cut_points = []
        self.bytes_per_second = [None, None]
        self._read_again = [0.0, 0.0]  # no earlier, at a limited rate
        self.passed = [0, 0]
        self.taps = [None, None]
        self._listener = socket.create_server((HOST, self.port))
        self._pairs = []
        self._closing = False
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Ends every connection."""
        with self._lock:
            for pair in self._pairs:
                for end in pair:
                    end.close()
            self._pairs.clear()

    def close(self):
        self._closing = True
        self._listener.close()
        self.cut()

    def _accept(self):
        while not self._closing:
            try:
                dialler, _ = self._listener.accept()
                dialled = socket.create_connection((HOST, self.target_port), 2)
            except OSError:
                continue
            pair = (dialler, dialled)
            with self._lock:
                self._pairs.append(pair)
            threading.Thread(target=self._carry, args=(pair,), daemon=True).start()

    def _carry(self, pair):
        try:
            while self._turn(pair):
                pass
        except (OSError, ValueError):
            pass
        for end in pair:
            end.close()

    def _turn(self, pair):
        now = time.monotonic()
        watched = [end for direction, end in enumerate(pair)
                   if direction not in self.stalled and self._read_again[direction] <= now]
        ready, _, _ = select.select(watched, [], [], 0.02)
        for source in ready:
            direction = pair.index(source)
            rate = self.bytes_per_second[direction]
            data = source.recv(min(self.bytes_per_read, int(rate * _SLICE) if rate else 1 << 20))
            if not data:
                return False
            if rate:
                self._read_again[direction] = time.monotonic() + len(data) / rate
            if direction in self.swallowed:
                continue
            if self.flip_one:
                self.flip_one = False
                damaged = bytearray(data)
                damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
                data = bytes(damaged)
            if self.taps[direction]:
                self.taps[direction](data)
            pair[1 - direction].sendall(data)
            self.passed[direction] += len(data)
            if self.cut_points and self.passed[BACKWARD] >= self.cut_points[0]:
                self.cut_points.pop(0)
                return False
        return True
