"""Thirty-one wrong configurations: each is told by file, line, column and a reason, with exit status 78,
and a running node that is to reload one goes on unchanged.
"""

import re
import signal
import subprocess

import admin
from admin import status
from harness import AS_ROOT, PairTest, binary, eventually, main

EX_CONFIG = 78
EXPECTED = 31

# (YAML, line:column, what the reason says)
WRONG = [
    ("cach:\n  memory: 1GiB\n", "1:1", "did you mean 'cache'"),
    ("cache:\n  memroy: 1GiB\n", "2:3", "did you mean 'memory'"),
    ("memory: 1GiB\n", "1:1", "belongs under 'cache'"),
    ("cache:\n  memory: 1024\n", "2:11", "needs a unit"),
    ("cache:\n  memory: 1GiX\n", "2:11", "GiX"),
    ("cache:\n  memory: 1KiB\n", "2:11", "allowed: 1MiB..16TiB"),
    ("cache:\n  memory: lots\n", "2:11", "lots"),
    ("cache:\n  memory: 1GiB\n  memory: 2GiB\n", "3:3", "duplicate"),
    ("cache:\n  evict: perhaps\n", "2:10", "true or false"),
    ("cache: 5\n", "1:8", "cache"),
    ("- cache\n", "1:1", "sections"),
    ("cache:\n\tmemory: 1GiB\n", "2:1", "tab"),
    ("cache: {memory: 1GiB\n", "2:1", "a map opened with '{' is not closed"),
    ("listen:\n  port: 0\n", "2:9", "allowed: 1..65535"),
    ("listen:\n  port: 70000\n", "2:9", "allowed: 1..65535"),
    ("listen:\n  port: http\n", "2:9", "http"),
    ("listen:\n  addresses: [\"10.0.0.1:port\"]\n", r"2:1\d", "port"),
    ("listen:\n  addresses: [127.0.0.1, 127.0.0.1]\n", r"2:\d+", "twice"),
    ("listen:\n  unix_mask: 0999\n", "2:14", "0999"),
    ("listen:\n  tcp: false\n", "2:8", "no way in"),
    ("tls:\n  enabled: true\n", "2:12", "tls.certificate_file"),
    ("replication:\n  ack: maybe\n", "2:8", "async"),
    ("replication:\n  dead_after: 100ms\n  heartbeat_interval: 200ms\n", r"[23]:\d+", "longer than"),
    ("replication:\n  node_id: 8\n", "2:12", "0..7"),
    ("replication:\n  peer: 192.0.2.1\n", "2:9", "not authenticated"),
    ("replication:\n  tls_certificate: /x.pem\n", "2:20", "replication.tls_ca"),
    ("replication:\n  heartbeat_interval: 5\n", "2:23", "unit"),
    ("hooks:\n  pre_promote: [relative]\n", r"2:\d+", "absolute"),
    ("admin:\n  port: 11211\n", "2:9", "listen.port"),
    ("admin:\n  agent_port: 11211\n", "2:15", "is that of listen.port"),
    ("admin:\n  tls_key: /x.key\n", "2:12", "without admin.tls_certificate"),
]


class WrongConfigurations(PairTest):
    def test_each_is_told_with_its_place_and_reason(self):
        self.assertEqual(len(WRONG), EXPECTED)
        path = self.directory / "wrong.yaml"
        for text, place, reason in WRONG:
            with self.subTest(text):
                path.write_text(text)
                done = subprocess.run([binary(), *AS_ROOT, "--config", str(path)],
                                      capture_output=True, text=True, timeout=20, check=False)
                self.assertEqual((done.returncode, done.stdout), (EX_CONFIG, ""), done.stderr)
                first = done.stderr.splitlines()[0]
                self.assertRegex(first, rf"^{re.escape(str(path))}:{place}: .*(?:{reason})")
                self.assertLess(len(first), 400)

    def test_a_running_node_refuses_each_and_goes_on_unchanged(self):
        node = self.node("a")
        good = admin.configure(node).config.read_text()
        node.start()
        before = status(node)
        rows = node.stats("settings")
        tried = 0
        for text, place, _ in WRONG:
            with self.subTest(text):
                node.config.write_text(text)
                # The node's flags stand in for some of what is wrong.
                if subprocess.run([*node.arguments(), "--check-config"], capture_output=True,
                                  timeout=20, check=False).returncode == 0:
                    continue
                tried += 1
                node.mark()
                node.process.signal(signal.SIGHUP)
                node.wait_log(rf"reload: .*a\.yaml:{place}: .*all stays as it was")
                node.wait_log("reload: refused")
        self.assertGreaterEqual(tried, EXPECTED - 3)
        node.config.write_text(good)
        node.mark()
        node.process.signal(signal.SIGHUP)
        node.wait_log("reload: the configuration is the same")
        self.assertEqual(node.stats("settings"), rows)
        after = status(node)
        for key in ("role", "serving"):
            self.assertEqual(after[key], before[key])
        self.assertEqual(after["process"]["run_id"], before["process"]["run_id"])
        self.assertEqual(after["process"]["pending_restart"], [])
        eventually(lambda: status(node)["memory"]["limit_bytes"] ==
                   before["memory"]["limit_bytes"], 5, "the memory is the same")


if __name__ == "__main__":
    main()
