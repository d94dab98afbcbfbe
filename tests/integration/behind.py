"""Stock memcacheds behind the nodes of any test (cache.engine: memcached), by the environment:

  TANDEM_STOCK=both    behind every node
  TANDEM_STOCK=mixed   behind every second one; the others keep their data themselves
  TANDEM_MEMCACHED     another memcached than the distribution's

A node's memcached dies with the node, as with a host. What only the embedded engine has (its limits
on memory, large values, writes: master, read_through) fails then, and is not meant to be run so.
"""

import functools
import itertools
import os
import re
import shutil
import socket
import subprocess

MODE = os.environ.get("TANDEM_STOCK", "")
BINARY = os.environ.get("TANDEM_MEMCACHED") or shutil.which("memcached")
_numbers = itertools.count()


@functools.cache
def version():
    """Of the memcached, as a list of numbers."""
    told = subprocess.run([BINARY, "-V"], capture_output=True, text=True, check=True).stdout
    return [int(n) for n in re.findall(r"\d+", told)[:3]]


def uniques_travel():
    """Whether CAS uniques are the same on both nodes: from memcached 1.6.27 on."""
    return not MODE or version() >= [1, 6, 27]


class Behind:
    """The memcached of one node, on a UNIX socket, so that network namespaces do not matter."""

    def __init__(self, directory, name, memory_mib):
        self._path = directory / f"{name}.memcached"
        self._memory_mib = memory_mib
        self._child = None
        self.environment = {"MEMTANDEM_CACHE_ENGINE": "memcached",
                            "MEMTANDEM_BACKEND_ADDRESS": str(self._path)}

    def start(self, flags, before, until):
        """Until it is there: `until(condition, seconds, what)` waits."""
        if self._child and self._child.poll() is None:
            return
        self._child = subprocess.Popen(
            [BINARY, *flags, "-s", str(self._path), "-m", str(self._memory_mib), "-t", "1"],
            stdin=subprocess.DEVNULL, preexec_fn=before)
        until(self._answers, 10, "the memcached behind the node answers")

    def _answers(self):
        with socket.socket(socket.AF_UNIX) as talk:
            try:
                talk.connect(str(self._path))
                talk.sendall(b"version\r\n")
                return talk.recv(100).startswith(b"VERSION")
            except OSError:
                return False

    def kill(self):
        if self._child:
            self._child.kill()
            self._child.wait()


def behind(directory, name, memory_mib):
    """What is behind the next node; None: nothing."""
    number = next(_numbers)
    if not MODE or (MODE == "mixed" and number % 2 == 0):
        return None
    return Behind(directory, name, memory_mib)
