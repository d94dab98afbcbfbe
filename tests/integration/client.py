"""A memcached text client of a few lines: raw enough to send nonsense, exact about replies."""

import socket


class ConnectionLost(Exception):
    """The server closed the connection, or a reply did not come in time."""


class TimedOut(ConnectionLost):
    """No reply in time; the request may still be carried out later."""


class Client:
    """One blocking connection. Keys are str; values are bytes."""

    def __init__(self, host, port, timeout=5.0):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # ---- bytes

    def send(self, data):
        try:
            self.socket.sendall(data)
        except socket.timeout as error:
            raise TimedOut("send") from error
        except OSError as error:
            raise ConnectionLost(str(error)) from error

    def _receive(self):
        try:
            got = self.socket.recv(1 << 16)
        except socket.timeout as error:
            raise TimedOut("receive") from error
        except OSError as error:
            raise ConnectionLost(str(error)) from error
        if not got:
            raise ConnectionLost("closed by the server")
        self._buffer += got

    def line(self):
        """The next reply line, without its end."""
        while True:
            end = self._buffer.find(b"\r\n")
            if end >= 0:
                text = bytes(self._buffer[:end])
                del self._buffer[:end + 2]
                return text.decode("latin-1")
            self._receive()

    def exactly(self, count):
        while len(self._buffer) < count:
            self._receive()
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def closed(self):
        """Waits for the server to close; False when it sends something or keeps it open."""
        try:
            self._receive()
        except TimedOut:
            return False
        except ConnectionLost:
            return True
        return False

    # ---- commands

    def command(self, text):
        """Sends one line and returns the first line of its reply."""
        self.send(text.encode("latin-1") + b"\r\n")
        return self.line()

    def _send_store(self, verb, key, value, flags, exptime, tail):
        head = f"{verb} {key} {flags} {exptime} {len(value)}{tail}\r\n"
        self.send(head.encode("latin-1") + value + b"\r\n")

    def store(self, verb, key, value, flags=0, exptime=0, cas=None):
        self._send_store(verb, key, value, flags, exptime, "" if cas is None else f" {cas}")
        return self.line()

    def store_noreply(self, verb, key, value, flags=0, exptime=0, cas=None):
        self._send_store(verb, key, value, flags, exptime,
                         ("" if cas is None else f" {cas}") + " noreply")

    def set(self, key, value, flags=0, exptime=0):
        return self.store("set", key, value, flags, exptime)

    def set_many(self, pairs):
        """Stores {key: value} in one write; the replies in order."""
        self.send(b"".join(f"set {key} 0 0 {len(value)}\r\n".encode("latin-1") + value + b"\r\n"
                           for key, value in pairs.items()))
        return [self.line() for _ in pairs]

    def _values(self, verb, keys):
        self.send(f"{verb} {' '.join(keys)}\r\n".encode("latin-1"))
        found = {}
        while True:
            words = self.line().split(" ")
            if words == ["END"]:
                return found
            if words[0] != "VALUE":
                raise AssertionError(f"{verb} answered {' '.join(words)!r}")
            value = self.exactly(int(words[3]) + 2)
            cas = int(words[4]) if len(words) > 4 else None
            found[words[1]] = (int(words[2]), value[:-2], cas)

    def gets(self, *keys):
        """{key: (flags, value, cas)} of the hits."""
        return self._values("gets", keys)

    def get(self, key):
        """The value of a key, or None."""
        found = self._values("get", [key])
        return found[key][1] if key in found else None

    def gat(self, exptime, *keys):
        return self._values("gat", [str(exptime), *keys])

    def stats(self, group=""):
        self.send(f"stats {group}".strip().encode("latin-1") + b"\r\n")
        rows = {}
        while True:
            words = self.line().split(" ", 2)
            if words == ["END"]:
                return rows
            if words[0] != "STAT":
                raise AssertionError(f"stats {group} answered {' '.join(words)!r}")
            rows[words[1]] = words[2] if len(words) > 2 else ""
