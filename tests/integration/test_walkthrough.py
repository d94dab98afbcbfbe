"""The main job as an executable test: Repcached's article, with its flags, on two daemons.

Standard error of a daemon started with -v -d stays where it was, as memcached does it; the log
lines are read there. The default ports are used where they are free.
"""

import contextlib
import os
import re
import signal
import subprocess
import unittest

from client import Client
from harness import (HOST, PairTest, Process, binary, eventually, free_port, main, port_is_free)


class Daemon:
    """A daemonised memtandem: known by its pid file, its log and its client port."""

    def __init__(self, directory, name, port):
        self.name = name
        self.port = port
        self.log_path = directory / f"{name}.log"
        self.pid_path = directory / f"{name}.pid"
        self.log_path.touch()
        self.seen = 0  # bytes of the log that expect() has passed

    def run(self, *flags):
        """Runs the command in the foreground part; it must return at once with status 0."""
        command = [binary(), "-v", "-d", "-p", str(self.port), "-l", HOST, "-u", "root",
                   "-P", str(self.pid_path), *flags]
        with open(self.log_path, "ab") as log:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                  timeout=10, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{command} ended with {done.returncode}:\n{self.log()}")
        eventually(self.pid_path.exists, 5, f"{self.pid_path} is written")

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def expect(self, *patterns, seconds=10):
        """These lines are logged, in this order, after those expected before; prints them."""
        for pattern in patterns:
            found = eventually(
                lambda p=pattern: re.compile(f"^.*{p}.*$", re.M).search(self.log(), self.seen),
                seconds, lambda p=pattern: f"{self.name} logs {p!r}; its log:\n{self.log()}")
            self.seen = found.end()
            print(f"  {self.name}: {found.group()}")

    @property
    def process(self):
        return Process(int(self.pid_path.read_text()))

    def kill(self):
        process = self.process
        process.signal(signal.SIGKILL)
        eventually(lambda: not process.alive(), 5, f"{self.name} is dead")

    def client(self):
        return eventually(lambda: Client(HOST, self.port), 5, f"{self.name} takes a client")


class Walkthrough(PairTest):
    def test_the_article(self):
        seed_ports = all(port_is_free(port) for port in (11211, 21211, 11212))
        port, other_port = (11211, 21211) if seed_ports else (free_port(), free_port())
        link_flags = [] if seed_ports else ["-X", str(free_port())]
        first = Daemon(self.directory, "m1", port)
        second = Daemon(self.directory, "m2", other_port)
        self.addCleanup(self._end, first, second)

        first.run(*link_flags)
        first.expect("replication: listen")

        second.run("-x", HOST, *link_flags)
        link_port = link_flags[1] if link_flags else "11212"
        second.expect(rf"replication: connect \(peer={HOST}:{link_port}\)",
                      "replication: marugoto copying", "replication: start")
        first.expect("replication: accept")

        with first.client() as client:
            self.assertEqual(client.set("key", b"sunsky"), "STORED")
        with second.client() as client:
            eventually(lambda: client.get("key") == b"sunsky", 2, "the slave has the value")
            self.assertEqual(client.gets("key")["key"][:2], (0, b"sunsky"))

        first.kill()
        second.expect("replication: close", "replication: listen")
        with second.client() as client:
            self.assertEqual(client.get("key"), b"sunsky")
            self.assertEqual(client.set("key", b"written meanwhile"), "STORED")
            self.assertEqual(client.set("another", b"one"), "STORED")

        # On one machine both want the same link port: the survivor takes it when it is free.
        eventually(lambda: not port_is_free(int(link_port)), 5, "the survivor has the link's port")
        first.run("-x", HOST, *link_flags)  # the same command, plus -x
        first.expect(rf"replication: connect \(peer={HOST}:{link_port}\)",
                     "replication: marugoto copying", "replication: start")
        second.expect("replication: accept")
        with first.client() as client:
            self.assertEqual(client.get("key"), b"written meanwhile")
            self.assertEqual(client.get("another"), b"one")
            self.assertEqual(client.stats("replication")["role"], "SLAVE")

        # The article ends by killing the slave; here that is the node that came back.
        first.kill()
        second.expect("replication: close", "replication: listen")
        with second.client() as client:
            self.assertEqual(client.get("key"), b"written meanwhile")
            self.assertEqual(client.set("key", b"on its own"), "STORED")
            self.assertEqual(client.stats("replication")["role"], "MASTER")

    def test_an_old_master_that_is_back_at_once(self):
        """Before the survivor has taken the link's port: then it is the survivor that dials."""
        link_flags = ["-X", str(free_port())]
        first = Daemon(self.directory, "m1", free_port())
        second = Daemon(self.directory, "m2", free_port())
        self.addCleanup(self._end, first, second)
        first.run(*link_flags)
        second.run("-x", HOST, *link_flags)
        second.expect("replication: start")
        with second.client() as client:
            self.assertEqual(client.set("key", b"sunsky"), "STORED")
        first.kill()
        first.run("-x", HOST, *link_flags)
        first.expect("replication: (connect|accept)", "replication: marugoto copying",
                     "replication: start")
        with first.client() as client:
            self.assertEqual(client.get("key"), b"sunsky")
            self.assertEqual(client.stats("replication")["role"], "SLAVE")

    @staticmethod
    def _end(*daemons):
        for daemon in daemons:
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(daemon.pid_path.read_text()), signal.SIGKILL)


if __name__ == "__main__":
    main()
