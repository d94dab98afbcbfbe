"""The units: valid, hardened, and installed with paths that fit."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import unittest

from harness import SKIPPED, SOURCE, PairTest, binary, eventually, main

UNITS = SOURCE / "deploy" / "systemd"
EXPOSURE_LIMIT = 1.6


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True,
                          timeout=50, check=False)


class Units(PairTest):
    def unit(self, name, as_name=None):
        """A copy of the unit that runs the binary under test, for `verify` wants it to exist."""
        text = (UNITS / name).read_text().replace("/usr/bin/memtandem", binary())
        path = self.directory / (as_name or name)
        path.write_text(text)
        return str(path)

    def test_both_units_are_valid(self):
        for path in (self.unit("memtandem.service"),
                     self.unit("memtandem@.service", "memtandem@one.service")):
            done = analyze("verify", path)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        # The check finds something: it is not passed by whatever is given to it.
        broken = self.directory / "broken.service"
        broken.write_text("[Service]\nExecStart=relative/path\nNoSuchKey=1\n")
        self.assertNotEqual(analyze("verify", str(broken)).stderr, "")

    def test_both_units_are_hardened(self):
        for path in (self.unit("memtandem.service"),
                     self.unit("memtandem@.service", "memtandem@one.service")):
            done = analyze("security", "--offline=true", path)
            found = re.search(r"Overall exposure level.*?(\d+\.\d+)", done.stdout)
            self.assertIsNotNone(found, done.stdout + done.stderr)
            print(f"\n  {pathlib.Path(path).name}: exposure {found.group(1)}")
            self.assertLessEqual(float(found.group(1)), EXPOSURE_LIMIT, done.stdout)

    def test_every_hardening_line_has_a_reason(self):
        lines = (UNITS / "memtandem.service").read_text().split("\n")
        service = lines[lines.index("[Service]") + 1:lines.index("[Install]")]
        reasoned = False
        for line in service:
            if line.startswith("#"):
                reasoned = True
            elif not line:
                reasoned = False
            elif re.match(r"(Protect|Private|Restrict|Memory|Lock|NoNew|SystemCall|IPAddress)", line):
                self.assertTrue(reasoned, f"no comment above {line}")

    def test_the_units_differ_in_their_file_only(self):
        def essence(name):
            return [re.sub(r" \(%i\)$", "", line)
                    .replace("%i.yaml", "memtandem.yaml").replace("memtandem-%i", "memtandem")
                    for line in (UNITS / name).read_text().split("\n") if not line.startswith("#")]
        self.assertEqual(essence("memtandem.service"), essence("memtandem@.service"))


class Installation(PairTest):
    @unittest.skipIf("TANDEM_BUILD_DIR" not in os.environ, "run by ctest only")
    def test_what_is_installed_fits_together(self):
        root = self.directory / "root"
        for _ in range(2):
            subprocess.run(["cmake", "--install", os.environ["TANDEM_BUILD_DIR"]],
                           env={**os.environ, "DESTDIR": str(root)}, check=True,
                           capture_output=True, timeout=50)
        unit = next(root.rglob("memtandem.service")).read_text()
        program = re.search(r"^ExecStart=(\S+) --config (\S+)$", unit, re.M)
        installed = root / program.group(1).lstrip("/")
        configuration = root / program.group(2).lstrip("/")
        done = subprocess.run([installed, "--config", configuration, "--check-config"],
                              capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(list(root.rglob("memtandem@.service")))
        self.assertTrue(list(root.rglob("sysusers.d/memtandem.conf")))
        # A configuration that somebody has changed is not replaced.
        configuration.write_text("listen:\n  port: 12345\n")
        subprocess.run(["cmake", "--install", os.environ["TANDEM_BUILD_DIR"]],
                       env={**os.environ, "DESTDIR": str(root)}, check=True,
                       capture_output=True, timeout=50)
        self.assertIn("12345", configuration.read_text())


class Notifications(PairTest):
    """What Type=notify and WatchdogSec= rely on, with this test as the service manager."""

    def setUp(self):
        super().setUp()
        self.path = self.directory / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)
        self.addCleanup(self.socket.close)
        self.told = []

    def start(self):
        environment = {"NOTIFY_SOCKET": str(self.path), "WATCHDOG_USEC": "1000000"}
        os.environ.update(environment)
        try:
            return self.node("a").start(wait=False)
        finally:
            for name in environment:
                del os.environ[name]

    def heard(self, pattern):
        def look():
            while True:
                try:
                    self.told += self.socket.recv(4096).decode().split("\n")
                except BlockingIOError:
                    break
            return any(re.fullmatch(pattern, line) for line in self.told)
        return look

    def test_ready_and_alive_are_told(self):
        node = self.start()
        eventually(self.heard("READY=1"), 5, lambda: f"READY=1 is told, not only {self.told}")
        with node.client() as client:  # ready means that it listens
            self.assertTrue(client.command("version").startswith("VERSION"))
        eventually(self.heard("STATUS=.*"), 5, "a status sentence is told")
        for _ in range(3):
            self.told.clear()
            eventually(self.heard("WATCHDOG=1"), 1, "a sign of life within the second")

    def test_an_end_is_told(self):
        node = self.start()
        eventually(self.heard("READY=1"), 5, "READY=1 is told")
        node.terminate()
        eventually(self.heard("STOPPING=1"), 5, lambda: f"STOPPING=1 is told: {self.told}")


if __name__ == "__main__":
    if not shutil.which("systemd-analyze"):
        print("skipped: systemd-analyze is not installed (package systemd)")
        sys.exit(SKIPPED)
    main()
