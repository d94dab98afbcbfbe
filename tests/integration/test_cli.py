"""The command line: exit statuses, messages, --check-config, --print-config, pid files, -d."""

import os
import pathlib
import re
import signal
import subprocess
import unittest

from client import Client
from harness import (AS_ROOT, HOST, SOURCE, PairTest, Process, binary, eventually, free_port, main)

EX_OSERR = 71
EX_CONFIG = 78

# (YAML, what standard error must tell). Line and column count from 1.
BAD_FILES = [
    ("replication:\n  perr: 127.0.0.1\n", r":2:3: .*perr.*did you mean .*peer"),
    ("listen:\n  port: 11211\n  port: 11212\n", r":3:3: .*port"),
    ("listen:\n  port: 99999\n", r":2:9: .*99999.*65535"),
    ("cache:\n  memory: 64\n", r":2:11: .*64"),
    ("replication:\n  heartbeat_interval: 5 MiB\n", r":2:23: "),
    ("replication:\n  dead_after: 200\n", r":2:15: "),
    ("replication:\n  heartbeat_interval: 2s\n  dead_after: 1s\n", r"dead_after|heartbeat"),
    ("listen: [1, 2\n", r":\d+:\d+: "),
    ("listen:\n\tport: 1\n", r":2:\d+: "),
    ("- a\n- b\n", r":1:1: "),
    ("workers:\n  threads: lots\n", r":2:12: .*lots"),
    ("cache:\n  evict: perhaps\n", r":2:10: .*perhaps"),
]
BAD_FLAGS = [
    (["-p", "0"], r"-p"), (["-p", "banana"], r"banana"), (["-m", "-5"], r"-m|-5"),
    (["--no-such-flag"], r"no-such-flag"), (["-S"], r"-S"), (["-U", "11211"], r"-U"),
    (["-B", "binary"], r"-B.*binary.*ascii, auto"), (["-o", "idle_timout=1"], r"idle_timeout"),
    (["-Z"], r"certificate_file"), (["-a", "9"], r"-a.*octal"), (["-s", "/" * 200], r"-s"),
    (["-x"], r"-x"), (["-q", "0"], r"-q"), (["-I", "1"], r"-I"),
]


def run(*arguments, environment=None):
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=20,
                          stdin=subprocess.DEVNULL, check=False,
                          env={**os.environ, **(environment or {})})


class CommandLine(PairTest):
    def write(self, text, name="test.yaml"):
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def test_bad_files_are_told_with_their_place(self):
        for text, expected in BAD_FILES:
            path = self.write(text)
            for action in (["--check-config"], []):
                with self.subTest(text=text, action=action):
                    done = run("--config", path, *AS_ROOT, *action)
                    self.assertEqual(done.returncode, EX_CONFIG, done.stderr)
                    self.assertRegex(done.stderr, expected)
                    self.assertIn("test.yaml", done.stderr)
                    self.assertEqual(done.stdout, "")

    def test_bad_flags(self):
        for flags, expected in BAD_FLAGS:
            with self.subTest(flags=flags):
                done = run(*flags, *AS_ROOT)
                self.assertEqual(done.returncode, EX_CONFIG, done.stderr)
                self.assertRegex(done.stderr, expected)

    def test_all_errors_come_at_once(self):
        path = self.write("listen:\n  prot: 1\ncache:\n  memory: 3 parsecs\n")
        done = run("--config", path, "-c", "none", "--check-config")
        self.assertEqual(done.returncode, EX_CONFIG)
        for part in ("prot", "parsecs", "none"):
            self.assertIn(part, done.stderr)

    def test_a_missing_file(self):
        done = run("--config", str(self.directory / "missing.yaml"), *AS_ROOT)
        self.assertEqual(done.returncode, EX_CONFIG)
        self.assertIn("missing.yaml", done.stderr)

    def test_the_sample_is_valid_and_means_the_defaults(self):
        sample = str(SOURCE / "config" / "memtandem.sample.yaml")
        self.assertEqual(run("--config", sample, "--check-config").returncode, 0)
        def values(text):
            return [re.sub(r"\s*#.*", "", line) for line in text.splitlines()
                    if not line.lstrip().startswith("#")]
        self.assertEqual(values(run("--config", sample, "--print-config").stdout),
                         values(run("--print-config").stdout))

    def test_print_config_reads_back_to_itself(self):
        first = run("-p", "12345", "-m", "1g", "-x", "10.0.0.2", "-X", "11999", "-q", "1000",
                    "-t", "3", "-vv", "--print-config")
        self.assertEqual(first.returncode, 0, first.stderr)
        for part in ("12345", "10.0.0.2", "11999"):
            self.assertIn(part, first.stdout)
        path = self.write(first.stdout)
        second = run("--config", path, "--print-config")
        def values(text):
            return [re.sub(r"\s*#.*", "", line) for line in text.splitlines()]
        self.assertEqual(values(second.stdout), values(first.stdout))

    def test_flags_come_before_the_environment_and_that_before_the_file(self):
        path = self.write("listen:\n  port: 11111\n")
        def port(*flags, **environment):
            shown = run("--config", path, "--print-config", *flags, environment=environment).stdout
            return re.search(r"^listen:(?:\n[ #].*)*?\n  port: (\d+)", shown, re.M).group(1)
        self.assertEqual(port(), "11111")
        self.assertEqual(port(MEMTANDEM_LISTEN_PORT="22222"), "22222")
        self.assertEqual(port("-p", "30000", MEMTANDEM_LISTEN_PORT="22222"), "30000")

    def test_help_and_version(self):
        shown = run("-h")
        self.assertEqual((shown.returncode, shown.stderr), (0, ""))
        for flag in ("-p", "-x", "-X", "-q", "--config", "--replication-port"):
            self.assertIn(flag, shown.stdout)
        shown = run("-V")
        self.assertEqual(shown.returncode, 0)
        self.assertRegex(shown.stdout, r"^memtandem \d+\.\d+\.\d+")

    def test_memcacheds_flags_start_a_node(self):
        node = self.node("a", flags=[
            "-U", "0", "-c", "200", "-b", "64", "-t", "2", "-R", "10", "-I", "2m", "-M", "-F",
            "-B", "ascii", "-C", "-W", "-X", "-A", "-f", "1.25", "-n", "48", "-L", "-D", ":", "-e",
            "/tmp/none", "-N", "1", "-o", "modern,idle_timeout=600,no_maxconns_fast", "-a", "700"])
        node.start()
        for flag in ("-f", "-n", "-L", "-D", "-e", "-N", "-o modern"):
            self.assertIn(f"{flag}: has no effect", node.log(whole=True))
        rows = node.stats("settings")
        expected = {"maxconns": "200", "tcp_backlog": "64", "num_threads": "2",
                    "reqs_per_event": "10", "item_size_max": str(2 << 20), "evictions": "off",
                    "flush_enabled": "no", "dump_enabled": "no", "shutdown_command": "yes",
                    "idle_timeout": "600", "maxconns_fast": "no", "binding_protocol": "ascii",
                    "cas_enabled": "no", "udpport": "0"}
        self.assertEqual({name: rows.get(name) for name in expected}, expected)

    def test_a_taken_port_is_an_os_error(self):
        node = self.node("a").start()
        done = run(*AS_ROOT, "-l", HOST, "-p", str(node.port), "--replication-port",
                   str(free_port()))
        self.assertEqual(done.returncode, EX_OSERR, done.stderr)
        self.assertIn(str(node.port), done.stderr)

    def test_a_daemon_says_so_only_when_it_listens(self):
        port, pid_path = free_port(), self.directory / "d.pid"
        flags = [*AS_ROOT, "-d", "-l", HOST, "-P", str(pid_path)]
        done = run(*flags, "-p", str(port), "--replication-port", str(free_port()))
        self.assertEqual(done.returncode, 0, done.stderr)
        with Client(HOST, port) as client:  # at once: no waiting
            self.assertTrue(client.command("version").startswith("VERSION "))
            self.assertEqual(client.stats()["pid"], pid_path.read_text().strip())
        # A second one with the same pid file does not start, and the parent says it.
        again = run(*flags, "-p", str(free_port()), "--replication-port", str(free_port()))
        self.assertNotEqual(again.returncode, 0)
        self.assertIn("d.pid", again.stderr)
        daemon = Process(int(pid_path.read_text()))
        self.assertEqual(pathlib.Path(f"/proc/{daemon.pid}/cwd").resolve(), pathlib.Path("/"))
        daemon.signal(signal.SIGTERM)
        eventually(lambda: not daemon.alive(), 5, "SIGTERM ends it")
        self.assertFalse(pid_path.exists())

    def test_a_stale_pid_file_is_replaced(self):
        pid_path = self.directory / "stale.pid"
        pid_path.write_text("1\n")
        node = self.node("a", flags=["-P", str(pid_path)]).start()
        self.assertEqual(pid_path.read_text().strip(), str(node.pid))
        node.terminate()
        self.assertFalse(pid_path.exists())

    def test_signals_that_end_it_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            node = self.node(f"n{number}").start()
            node.signal_to_end(number)
            self.assertEqual(node.wait_dead(5), 0, node.log())

    def test_hangup_does_not_end_it(self):
        node = self.node("a").start()
        node.process.signal(signal.SIGHUP)
        with node.client() as client:
            self.assertEqual(client.set("k", b"v"), "STORED")
        self.assertTrue(node.running())

    @unittest.skipIf(os.geteuid() != 0, "the rule is for root")
    def test_root_must_name_a_user(self):
        done = run("-l", HOST, "-p", str(free_port()))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("-u", done.stderr)

    def test_a_node_started_by_its_yaml_alone(self):
        port, link_port = free_port(), free_port()
        path = self.write(f"listen:\n  addresses: [{HOST}]\n  port: {port}\n"
                          f"replication:\n  listen_port: {link_port}\n"
                          f"cache:\n  memory: 32MiB\nlog:\n  verbosity: 1\n")
        node = self.node("a")
        node.port, node.link_port = port, link_port
        node.arguments = lambda: [binary(), "--config", path, *AS_ROOT]
        node.start()
        self.assertEqual(node.stats()["limit_maxbytes"], str(32 << 20))
        node.wait_log("replication: listen")


if __name__ == "__main__":
    main()
