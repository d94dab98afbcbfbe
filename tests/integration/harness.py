"""Real memtandem processes for the tests: start, kill, stop, wait for a condition, look inside.

The environment names the binaries (ctest sets it): TANDEM_BINARY, TANDEM_LOAD; TANDEM_SLOWDOWN
stretches deadlines (sanitizers). Everything stays on 127.0.0.1, and no process outlives the test:
children die with this one (PR_SET_PDEATHSIG), daemonised ones are killed by their pid file.
Nothing here sleeps for a fixed time; `eventually` waits for a condition up to a deadline.
"""

import contextlib
import ctypes
import itertools
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from behind import behind, uniques_travel
from client import Client, ConnectionLost

SOURCE = pathlib.Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
SLOWDOWN = float(os.environ.get("TANDEM_SLOWDOWN", "1"))
SKIPPED = 77  # ctest's SKIP_RETURN_CODE
POLL_SECONDS = 0.002
MEBIBYTE = int(SLOWDOWN * (1 << 20))  # in bounds on growth: sanitizers multiply memory too
AS_ROOT = ["-u", "root"] if os.geteuid() == 0 else []  # like memcached, it wants to be told

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def binary(variable="TANDEM_BINARY", fallback="memtandem"):
    """The path of an executable under test; a missing one is an error, never a skip."""
    path = os.environ.get(variable) or shutil.which(fallback)
    if not path or not os.access(path, os.X_OK):
        sys.exit(f"set {variable} to the executable under test (found {path!r})")
    return path


def die_with_parent():
    """For preexec_fn: the kernel kills the child when the thread that started it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


_ports_given = set()


def free_port():
    """A port nobody listens on, below the ephemeral range so that no client socket takes it."""
    while True:
        port = random.randrange(10000, 32000)
        if port not in _ports_given and port_is_free(port):
            _ports_given.add(port)
            return port


def eventually(condition, seconds, what, slow=True, poll=POLL_SECONDS):
    """The first true result of `condition`; AssertionError with `what` after `seconds`.

    A condition may fail with OSError while the other side is not there yet.
    """
    deadline = time.monotonic() + (seconds * SLOWDOWN if slow else seconds)
    while True:
        failure = None
        try:
            result = condition()
            if result:
                return result
        except (OSError, ConnectionLost) as error:
            failure = error
        if time.monotonic() >= deadline:
            told = what() if callable(what) else what
            raise AssertionError(f"not within {seconds} s: {told}"
                                 + (f" ({failure})" if failure else ""))
        time.sleep(poll)


class Process:
    """What /proc tells of a process, and its signals."""

    def __init__(self, pid):
        self.pid = pid

    def signal(self, number):
        os.kill(self.pid, number)

    def alive(self):
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
        except OSError:
            return False

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self):
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def is_stopped(self):
        """True when every thread has stopped, which is a moment after SIGSTOP was sent."""
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            if (task / "stat").read_text().rsplit(")", 1)[1].split()[0] != "T":
                return False
        return True


class Node:
    """One memtandem with its own client port and link port; it may be started many times."""

    def __init__(self, directory, name, memory_mib=64, flags=()):
        self.directory = pathlib.Path(directory)
        self.name = name
        self.port = free_port()
        self.link_port = free_port()
        self.memory_mib = memory_mib
        self.flags = list(flags)
        self.peer_port = None
        self.environment = {}  # besides the test's
        self.behind = behind(self.directory, name, memory_mib)  # None: it keeps the data itself
        if self.behind:
            self.environment.update(self.behind.environment)
        self.log_path = self.directory / f"{name}.log"
        self.log_path.touch()
        self.incarnation = 0
        self.bad_ends = []  # of processes that ended as nobody had asked for
        self._asked_to_end = False
        self._child = None
        self._marked = 0

    # ---- life

    def arguments(self):
        peer = ["-x", HOST, "-X", str(self.peer_port)] if self.peer_port else []
        return [binary(), *AS_ROOT, "-v", "-l", HOST, "-p", str(self.port),
                "-m", str(self.memory_mib), "--replication-port", str(self.link_port),
                *peer, *self.flags]

    def _spawn(self, log):
        return subprocess.Popen(
            self.arguments(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            cwd=self.directory, env={**os.environ, **self.environment},
            preexec_fn=die_with_parent)

    def start(self, peer=None, wait=True, seconds=10):
        """Starts it, following `peer` (a Node, a link port or None), and waits until it serves."""
        assert not self.running(), f"{self.name} runs already"
        if peer is not None:
            self.peer_port = peer.link_port if isinstance(peer, Node) else peer
        else:
            self.peer_port = None
        self.note_end()
        if self.behind:
            self.behind.start(AS_ROOT, die_with_parent, eventually)
        self._asked_to_end = False
        self.mark()
        self.incarnation += 1
        with open(self.log_path, "ab") as log:
            self._child = self._spawn(log)
        if wait:
            self.wait_serving(seconds)
        return self

    def running(self):
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self):
        return self._child.pid

    @property
    def process(self):
        return Process(self._child.pid)

    def note_end(self):
        """Remembers how the last process ended, where that was not our doing."""
        if self._child and not self.running() and not (
                self._asked_to_end and self._child.returncode in (0, -signal.SIGKILL)):
            self.bad_ends.append(f"{self.name} ended with {self._child.returncode}:\n"
                                 f"{self.log()[-6000:]}")
        self._asked_to_end = True  # once is enough

    def kill(self):
        """kill -9, without waiting for the kernel to be done with it."""
        self._asked_to_end = True
        self._child.send_signal(signal.SIGKILL)
        if self.behind:
            self.behind.kill()

    def wait_dead(self, seconds=10):
        return self._child.wait(seconds * SLOWDOWN)

    def kill_and_wait(self):
        self.kill()
        return self.wait_dead()

    def terminate(self, seconds=10):
        """SIGTERM; returns the exit status, 0 being a clean end."""
        self._asked_to_end = True
        self._child.send_signal(signal.SIGCONT)
        self._child.send_signal(signal.SIGTERM)
        return self._child.wait(seconds * SLOWDOWN)

    def signal_to_end(self, number):
        self._asked_to_end = True
        self._child.send_signal(number)

    def may_end(self):
        """From here on it may end by itself, cleanly: a client is about to ask for that."""
        self._asked_to_end = True

    def stop(self):
        self._child.send_signal(signal.SIGSTOP)

    def resume(self):
        self._child.send_signal(signal.SIGCONT)

    # ---- log

    def mark(self):
        """From here on `wait_log` and `log` look."""
        self._marked = self.log_path.stat().st_size

    def log(self, whole=False):
        data = self.log_path.read_bytes()
        return data[0 if whole else self._marked:].decode("utf-8", "replace")

    def wait_log(self, pattern, seconds=5):
        """Waits for a log line since the last mark and returns the match."""
        compiled = re.compile(pattern)
        return eventually(lambda: compiled.search(self.log()), seconds,
                          lambda: f"{self.name} logs {pattern!r}; it logged:\n{self.log()}")

    # ---- clients

    def client(self, timeout=5):
        return Client(HOST, self.port, timeout * SLOWDOWN)

    def stats(self, group=""):
        with self.client() as client:
            return client.stats(group)

    def replication(self):
        return self.stats("replication")

    def role(self):
        """MASTER, SLAVE, SYNCING or INIT, or None while it takes no client."""
        try:
            return self.replication()["role"]
        except (OSError, ConnectionLost):
            return None

    def wait_serving(self, seconds=10):
        def ready():
            if not self.running():
                raise AssertionError(f"{self.name} ended with {self._child.returncode}:\n"
                                     f"{self.log()}")
            return self.role() in ("MASTER", "SLAVE")
        eventually(ready, seconds, lambda: f"{self.name} serves; its log:\n{self.log()}")

    def wait_role(self, role, seconds=10):
        eventually(lambda: self.role() == role, seconds,
                   lambda: f"{self.name} is {role}, it is {self.role()}; its log:\n{self.log()}")

    def in_sync(self):
        """True when it is linked, filled and nothing of it is under way to the peer."""
        rows = self.replication()
        return (rows["role"] in ("MASTER", "SLAVE") and rows["link"] == "up"
                and rows["peer_in_sync"] == "yes" and int(rows["lag_records"]) == 0)


def told_by(*nodes):
    """What the nodes say of themselves, and the ends of their logs: for a failure's text."""
    parts = []
    for node in nodes:
        with contextlib.suppress(OSError, ConnectionLost):
            parts.append(f"{node.name}: {node.replication()}")
            parts.append(str({name: value for name, value in node.stats().items()
                              if name.startswith(("backend", "cmd_", "curr_", "get_"))}))
        parts.append(f"{node.name} logged:\n{node.log()[-3000:]}")
    return "\n".join(parts)


def wait_in_sync(first, second, seconds=10, poll=POLL_SECONDS):
    """Waits until both nodes are linked, quiet and agree on who is master.

    Asking is work for them, and for a fault proxy in this process: where the time is measured and
    is seconds, `poll` is to be longer.
    """
    def settled():
        roles = sorted([first.role() or "", second.role() or ""])
        return roles == ["MASTER", "SLAVE"] and first.in_sync() and second.in_sync()

    eventually(settled, seconds, lambda: f"the pair is in sync\n{told_by(first, second)}",
               poll=poll)


def contents(node, keys):
    """{key: (flags, value, cas)} of the keys that the node holds."""
    found = {}
    with node.client(timeout=20) as client:
        for start in range(0, len(keys), 100):
            found.update(client.gets(*keys[start:start + 100]))
    if uniques_travel():
        return found
    return {key: (flags, value, None) for key, (flags, value, _) in found.items()}


def differences(first, second, keys):
    """Human-readable differences between two nodes' contents, CAS uniques included."""
    one, other = contents(first, keys), contents(second, keys)
    return [f"{key}: {first.name} {one.get(key)}, {second.name} {other.get(key)}"
            for key in keys if one.get(key) != other.get(key)]


def run_load(node, *arguments):
    """Starts the load generator of tests/bench against a node; returns the Popen."""
    return subprocess.Popen(
        [binary("TANDEM_LOAD", "tandem_load"), "--port", str(node.port), *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)


def load_result(running, seconds=120):
    """The figures of a finished load as a dict of numbers (the digest as text), and its errors."""
    out, err = running.communicate(timeout=seconds * SLOWDOWN)
    figures = dict(pair.split("=", 1) for pair in out.split())
    return {name: value if name == "digest" else float(value)
            for name, value in figures.items()}, err


class PairTest(unittest.TestCase):
    """A temporary directory, nodes by name, and no process left at the end."""

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="memtandem-test-"))
        self.nodes = []
        self._names = itertools.count()
        self.addCleanup(self._clean_up)

    def node(self, name=None, **options):
        made = Node(self.directory, name or f"node{next(self._names)}", **options)
        self.nodes.append(made)
        return made

    def pair(self, **options):
        """Two nodes, the first master and the second filled from it."""
        master = self.node("a", **options).start()
        slave = self.node("b", **options).start(peer=master)
        wait_in_sync(master, slave)
        return master, slave

    def _clean_up(self):
        for pid_file in self.directory.glob("*.pid"):
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(pid_file.read_text()), signal.SIGKILL)
        crashed = []
        for node in self.nodes:
            if node.running():
                node.kill_and_wait()
            if node.behind:
                node.behind.kill()
            node.note_end()
            crashed += node.bad_ends
            text = node.log(whole=True)
            for sign in ("CHECK failed", "ERROR: AddressSanitizer", "WARNING: ThreadSanitizer",
                         "runtime error:", "ERROR: LeakSanitizer"):
                if sign in text:
                    at = text.index(sign)
                    crashed.append(f"{node.name}: {text[max(0, at - 200):at + 4000]}")
                    break
        shutil.rmtree(self.directory, ignore_errors=True)
        self.assertEqual(crashed, [], "\n".join(crashed))


def main():
    """unittest.main with the figures flushed as they are printed."""
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(verbosity=2)
