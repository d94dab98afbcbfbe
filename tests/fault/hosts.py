"""Two hosts as network namespaces with a cable between them that can be cut in either direction.

The namespaces are the test's own: they are made from here and end with it. Where they are not
allowed the test is skipped, with the reason. Needs iproute2 and util-linux.

A direction is cut at the neighbour table: frames go to an address that nobody has, so that they are
lost without a word to either end, as on a broken cable. Clients are always let through: they are
inside the namespace of the node that they talk to.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import time

import harness
from harness import (HOST, SKIPPED, Node, die_with_parent, differences, eventually, wait_in_sync)

HEAL_SECONDS = 2  # a promise: both hold the same so soon after a partition

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_NOBODY = "02:00:00:00:00:99"
_LINK = "cable"
_GUARD = "TANDEM_IN_USER_NAMESPACE"


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def need_namespaces():
    """Goes on only where network namespaces can be made; as another user in one of its own users."""
    for tool in ("ip", "unshare"):
        if not shutil.which(tool):
            skip(f"{tool} is not installed")
    if subprocess.run(["unshare", "-n", "true"], stderr=subprocess.DEVNULL).returncode == 0:
        return
    if _GUARD not in os.environ and subprocess.run(
            ["unshare", "-Urn", "true"], stderr=subprocess.DEVNULL).returncode == 0:
        os.environ[_GUARD] = "1"
        os.execvp("unshare", ["unshare", "-Urn", sys.executable, *sys.argv])
    skip("network namespaces are not allowed here")


def _set_namespace(descriptor):
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Host:
    """A network namespace, kept by a process that sleeps."""

    def __init__(self, address):
        self.address = address
        self._keeper = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep infinity"],
                                        stdout=subprocess.PIPE, preexec_fn=die_with_parent)
        self._keeper.stdout.readline()  # it is in its namespace now
        self.pid = self._keeper.pid
        self.descriptor = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        self.ip("link", "set", "lo", "up")

    @contextlib.contextmanager
    def entered(self):
        """This thread is inside; a socket made here stays here."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        _set_namespace(self.descriptor)
        try:
            yield
        finally:
            _set_namespace(home)
            os.close(home)

    def run(self, *command):
        subprocess.run(command, check=True, preexec_fn=lambda: _set_namespace(self.descriptor))

    def ip(self, *arguments):
        self.run("ip", *arguments)

    def close(self):
        self._keeper.kill()
        self._keeper.wait()
        self._keeper.stdout.close()
        os.close(self.descriptor)


class Cable:
    """Two hosts, A and B, and what connects them."""

    def __init__(self):
        self.hosts = [Host("10.77.0.1"), Host("10.77.0.2")]
        first, second = self.hosts
        first.ip("link", "add", _LINK, "type", "veth", "peer", "name", _LINK,
                 "netns", str(second.pid))
        self._hardware = []
        for number, host in enumerate(self.hosts):
            hardware = f"02:00:00:00:00:0{number + 1}"
            self._hardware.append(hardware)
            host.ip("address", "add", f"{host.address}/24", "dev", _LINK)
            host.ip("link", "set", _LINK, "address", hardware)
            host.ip("link", "set", _LINK, "up")
        self.heal()

    def _point(self, number, hardware):
        """Where the frames from host `number` to the other one go."""
        self.hosts[number].ip("neighbour", "replace", self.hosts[1 - number].address,
                              "lladdr", hardware, "dev", _LINK, "nud", "permanent")

    def cut(self, *numbers):
        """Nothing gets from these hosts to the other any more; none named: either way."""
        for number in numbers or (0, 1):
            self._point(number, _NOBODY)

    def heal(self):
        for number in (0, 1):
            self._point(number, self._hardware[1 - number])

    def close(self):
        for host in self.hosts:
            host.close()


class HostedNode(Node):
    """A node of the harness on one of the hosts, with the other's node as its peer."""

    def __init__(self, directory, name, host, peer_host, **options):
        super().__init__(directory, name, **options)
        self.host = host
        self.peer_host = peer_host

    def arguments(self):
        arguments = super().arguments()
        if "-x" in arguments:
            arguments[arguments.index("-x") + 1] = self.peer_host.address
        return [*arguments, "--replication-listen", self.host.address]

    def _spawn(self, log):
        def inside():
            die_with_parent()
            _set_namespace(self.host.descriptor)
        return subprocess.Popen(self.arguments(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                cwd=self.directory, preexec_fn=inside,
                                env={**os.environ, **self.environment})

    def client(self, timeout=5):
        with self.host.entered():
            return harness.Client(HOST, self.port, timeout * harness.SLOWDOWN)


class HostsTest(harness.PairTest):
    """A pair on two hosts; each names the other, as two hosts of a real pair do."""

    def setUp(self):
        super().setUp()
        self.cable = Cable()
        self.addCleanup(self.cable.close)

    def hosted_pair(self, **options):
        pair = []
        for number, name in enumerate("ab"):
            node = HostedNode(self.directory, name, self.cable.hosts[number],
                              self.cable.hosts[1 - number], **options)
            self.nodes.append(node)
            pair.append(node)
        first, second = pair
        first.start(peer=second, wait=False)
        second.start(peer=first, wait=False)
        wait_in_sync(first, second, 15)
        return sorted(pair, key=lambda node: node.role() != "MASTER")

    def wait_equal(self, pair, keys, seconds=HEAL_SECONDS):
        """Seconds until the pair is in sync and holds the same under these keys."""
        began = time.monotonic()
        wait_in_sync(*pair, seconds)
        eventually(lambda: not differences(*pair, keys), seconds,
                   lambda: f"equal contents, not {differences(*pair, keys)[:5]}")
        return time.monotonic() - began

    def cut_until_noticed(self, pair, *numbers):
        """Cuts the cable and waits until both have given the other up."""
        for node in pair:
            node.mark()
        self.cable.cut(*numbers)
        for node in pair:
            node.wait_log("replication: close")
