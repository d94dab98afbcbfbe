"""What a client script in Python prints; see ../interop.py."""

import sys
import time

BIG = (1 << 20) - 1024
KEYS = 100
LONG = "k" * 250
BINARY = bytes(range(256)) + b"\r\nEND\r\nVALUE x 0 1\r\n\0\0"


class Report:
    def __init__(self):
        self._failed = False
        self._repeated = 0

    def check(self, what, got, wanted=True):
        if got == wanted:
            print(f"pass {what}", flush=True)
        else:
            self._failed = True
            print(f"fail {what}: {got!r:.200}, not {wanted!r:.200}", flush=True)

    def eventually(self, what, condition, seconds=5):
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.check(what, bool(condition()))

    def again(self, call, wanted, errors=(), attempts=100):
        """Calls until it returns what is wanted: whether it did. Counts the calls in vain."""
        for _ in range(attempts):
            try:
                if call() == wanted:
                    return True
            except errors:
                pass
            self._repeated += 1
            time.sleep(0.1)
        return False

    def failover(self, get, put, errors=()):
        """The part that is the same for all: store, wait for the failover, read, store, read."""
        for i in range(KEYS):
            if not self.again(lambda i=i: bool(put(f"f{i}", f"v{i}")), True, errors):
                self.check("stores before the failover", False)
        self._repeated = 0
        print("stored", flush=True)
        sys.stdin.readline()
        self.check("reads what was stored before", all(
            self.again(lambda i=i: get(f"f{i}"), f"v{i}", errors) for i in range(KEYS)))
        print(f"failed {self._repeated}", flush=True)
        self.check("stores afterwards", all(
            self.again(lambda i=i: bool(put(f"g{i}", f"w{i}")), True, errors) for i in range(KEYS)))
        self.check("reads it", all(get(f"g{i}") == f"w{i}" for i in range(KEYS)))

    def end(self):
        print("end", flush=True)
        sys.exit(1 if self._failed else 0)
