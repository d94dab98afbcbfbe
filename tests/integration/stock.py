"""A stock memcached behind a node, for the tests of cache.engine: memcached."""

import os
import shutil
import signal
import subprocess
import sys

from client import Client, ConnectionLost
from harness import (AS_ROOT, HOST, SKIPPED, SLOWDOWN, Node, PairTest, Process, die_with_parent,
                     eventually, free_port)


def memcached_binary():
    path = os.environ.get("TANDEM_MEMCACHED") or shutil.which("memcached")
    if not path:
        print("there is no memcached to put behind the node")
        sys.exit(SKIPPED)
    return path


class Memcached:
    """A memcached on a port of its own; it may be started many times."""

    def __init__(self, memory_mib=64, flags=()):
        self.port = free_port()
        self.flags = ["-m", str(memory_mib), *flags]
        self._child = None

    def start(self):
        self._child = subprocess.Popen(
            [memcached_binary(), *AS_ROOT, "-l", HOST, "-p", str(self.port), "-t", "1",
             *self.flags],
            stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        eventually(self._answers, 10, "memcached answers")
        return self

    def _answers(self):
        with self.client() as client:
            return client.stats()

    def client(self):
        return Client(HOST, self.port, 5)

    def kill(self):
        self._child.kill()
        self._child.wait()

    def stop(self):
        self._child.send_signal(signal.SIGSTOP)
        eventually(Process(self._child.pid).is_stopped, 5, "it has stopped")

    def resume(self):
        self._child.send_signal(signal.SIGCONT)

    def restart(self):
        self.kill()
        return self.start()


class StockNode(Node):
    """A memtandem with a memcached of its own behind it."""

    def __init__(self, directory, name, backend, yaml="", timeout_ms=1000, **options):
        self.backend = backend
        timeout_ms = int(timeout_ms * min(SLOWDOWN, 3))
        path = directory / f"{name}.yaml"
        path.write_text("cache: {engine: memcached}\n"
                        f"backend: {{address: '{HOST}:{backend.port}', timeout: {timeout_ms}ms}}\n"
                        + yaml)
        flags = ["--config", str(path), *options.pop("flags", ())]
        super().__init__(directory, name, flags=flags, **options)
        self.behind, self.environment = None, {}

    def wait_serving(self, seconds=10):
        # Without its memcached a node serves, too: errors.
        eventually(self.backend_up, seconds, "the backend is up")
        super().wait_serving(seconds)

    def backend_up(self):
        try:
            return self.stats()["backend"] == "up"
        except (OSError, ConnectionLost):
            return False


class StockTest(PairTest):
    def memcached(self, _name="", **options):
        made = Memcached(**options)
        self.addCleanup(lambda: made._child and made.kill())
        return made

    def stock_node(self, name, backend=None, **options):
        backend = backend or self.memcached().start()
        made = StockNode(self.directory, name, backend, **options)
        self.nodes.append(made)
        return made
