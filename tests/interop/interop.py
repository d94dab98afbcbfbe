"""Client libraries in their own languages against a pair: what every test_CLIENT.py here does.

A client's script stands in clients/ and is run in two ways:

  SCRIPT exercise HOST PORT
    tries every command the library has, and leaves values under left:text, left:binary, left:large
    (BIG bytes) and left:number.
  SCRIPT failover HOST PORT PORT
    configured with both nodes as an operator would, stores KEYS values under f0, f1, ..., prints
    `stored`, waits for a line, and then reads them all back and stores and reads new ones, through
    the same client object. It prints `failed N`, the reads that had to be repeated.

It prints `pass WHAT` or `fail WHAT: HOW` for each thing it tried, and `end`.
"""

import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import unittest

from harness import (HOST, SKIPPED, SLOWDOWN, PairTest, contents, die_with_parent, differences,
                     eventually, told_by)

CLIENTS = pathlib.Path(__file__).resolve().parent / "clients"
KEYS = 100
BIG = (1 << 20) - 1024
LEFT = ["left:text", "left:binary", "left:large", "left:number"]


def works(*command):
    """Whether a command can be run and ends well: for finding out what is installed."""
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=60, check=False).returncode == 0
    except OSError:
        return False


class Script:
    """A running client script; lines in, lines out, and an end in time."""

    def __init__(self, command, *arguments):
        self._child = subprocess.Popen(
            [*command, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, preexec_fn=die_with_parent)
        self.text = ""

    def wait_line(self, pattern, seconds):
        """Waits until a line matches, or the script ends."""
        def found():
            ready, _, _ = select.select([self._child.stdout], [], [], 0)
            if not ready:
                return None
            data = os.read(self._child.stdout.fileno(), 1 << 16)
            self.text += data.decode("utf-8", "replace")
            match = re.search(pattern, self.text, re.M)
            if not data and not match:
                raise AssertionError(f"it ended before {pattern!r}:\n{self.text}")
            return match
        return eventually(found, seconds,
                          lambda: f"{pattern!r} in:\n{self.text}\nit is in {self.where()}")

    def where(self):
        """What it waits for in the kernel, and its stack, if there is a gdb."""
        pid = self._child.pid
        text = pathlib.Path(f"/proc/{pid}/wchan").read_text(encoding="ascii")
        if shutil.which("gdb"):
            text += "\n" + subprocess.run(
                ["gdb", "-p", str(pid), "-batch", "-ex", "bt 20"], stdin=subprocess.DEVNULL,
                capture_output=True, errors="replace", check=False).stdout[-3000:]
        return text

    def say(self, line):
        self._child.stdin.write(line.encode() + b"\n")
        self._child.stdin.flush()

    def close(self):
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGKILL)
        self._child.communicate()

    def end(self, seconds):
        """Its exit status."""
        self.wait_line("^end$", seconds)
        return self._child.wait(seconds * SLOWDOWN)


class ClientTest(PairTest):
    """Base of the tests of one client library; `command` starts its script."""

    command = ()
    passes_min = 20  # what `exercise` tries at least: a script that skips everything is no test
    failed_max = 10  # reads that may fail before the client has settled on the other node

    def setUp(self):
        super().setUp()
        self.master, self.slave = self.pair()

    def script(self, *arguments):
        started = Script(self.command, *arguments)
        self.addCleanup(started.close)
        return started

    def check(self, script, passes_min):
        try:
            status = script.end(60)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{told_by(self.master, self.slave)}") from error
        failed = re.findall(r"^fail .*$", script.text, re.M)
        passed = re.findall(r"^pass .*$", script.text, re.M)
        self.assertEqual(failed, [], script.text)
        self.assertEqual(status, 0, script.text)
        self.assertGreaterEqual(len(passed), passes_min, script.text)
        return len(passed)

    def differ(self, node, other):
        shown = [f"{each[:100]} ... {each[-100:]}" for each in differences(node, other, LEFT)]
        return f"same on both: {shown}\n{told_by(node, other)}"

    def test_every_command_on_master_and_slave(self):
        for node, other in ((self.master, self.slave), (self.slave, self.master)):
            with self.subTest(node=node.name):
                passed = self.check(self.script("exercise", HOST, node.port), self.passes_min)
                left = contents(node, LEFT)
                self.assertEqual(sorted(left), sorted(LEFT))
                self.assertEqual(len(left["left:large"][1]), BIG)
                eventually(lambda n=node, o=other: not differences(n, o, LEFT), 5,
                           lambda n=node, o=other: self.differ(n, o))
                print(f"\n  {node.name}: {passed} passed")

    def test_the_client_goes_on_at_the_other_node(self):
        keys = [f"f{i}" for i in range(KEYS)]
        script = self.script("failover", HOST, self.master.port, self.slave.port)
        script.wait_line("^stored$", 30)
        eventually(lambda: len(contents(self.slave, keys)) == KEYS
                   and not differences(self.master, self.slave, keys), 5,
                   "all that was stored is on both nodes")
        self.master.kill_and_wait()
        self.slave.wait_role("MASTER")
        script.say("go")
        self.check(script, 3)
        failed = int(re.search(r"^failed (\d+)$", script.text, re.M).group(1))
        print(f"\n  {failed} failed reads")
        self.assertLessEqual(failed, self.failed_max, script.text)
        for key in ("g0", f"g{KEYS - 1}"):
            self.assertIn(key, contents(self.slave, [key]))


def main():
    """Like the harness's, but a file of which nothing could run counts as skipped."""
    sys.stdout.reconfigure(line_buffering=True)
    result = unittest.main(verbosity=2, exit=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if result.skipped and len(result.skipped) >= result.testsRun else 0)


def requires(condition, what):
    """A class decorator: the tests are skipped, in words, where a package is missing."""
    return unittest.skipUnless(condition, f"not installed: {what}")
