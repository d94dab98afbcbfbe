"""ASCII authentication (-Y): who gets in, and how the file of users is read again."""

import re
import signal
import subprocess

from client import ConnectionLost, TimedOut
from harness import AS_ROOT, HOST, PairTest, binary, eventually, free_port, main

# The rows for -Y of the protocol's edge cases as memcached 1.6.45 answers them: (sent, answers, and
# whether it closes on an mn).
ROWS = [
    (b"get x\r\n", b"CLIENT_ERROR unauthenticated\r\n", True),
    (b"version\r\n", b"CLIENT_ERROR unauthenticated\r\n", True),
    (b"set x 0 0 7\r\nfoo bad\r\n", b"CLIENT_ERROR authentication failure\r\n", True),
    (b"set x 0 0 7\r\nfoo bar\r\nset y 0 0 2\r\nhi\r\nget y\r\n",
     b"STORED\r\nSTORED\r\nVALUE y 0 2\r\nhi\r\nEND\r\n", False),
]


class Authentication(PairTest):
    def users(self, text="foo:bar\n"):
        path = self.directory / "users"
        path.write_text(text)
        return path

    def log_in(self, client, user, password):
        return client.set("any", f"{user} {password}".encode())

    def admin(self, node):
        client = node.client()
        self.assertEqual(self.log_in(client, "foo", "bar"), "STORED")
        return client

    def start(self, flags):
        """A node cannot be asked for its role before a login: its log tells that it serves."""
        node = self.node(flags=flags)
        node.start(wait=False)
        eventually(lambda: node.client().close() or True, 10, "it listens")
        return node

    def test_the_recorded_rows(self):
        node = self.start(["-Y", str(self.users())])
        for sent, expected, closes in ROWS:
            with self.subTest(sent=sent), node.client() as client:
                client.send(sent)
                self.assertEqual(client.exactly(len(expected)), expected)
                if closes:
                    client.send(b"mn\r\n")
                    self.assertTrue(client.closed())

    def test_any_command_is_refused_before_a_login(self):
        node = self.start(["-Y", str(self.users())])
        with node.client() as client:
            for command in ("stats", "flush_all", "delete k", "incr k 1", "touch k 1", "shutdown",
                            "cache_memlimit 64", "verbosity 1", "gets any", "refresh_certs"):
                self.assertEqual(client.command(command), "CLIENT_ERROR unauthenticated")
            self.assertEqual(self.log_in(client, "foo", "bar"), "STORED")
            self.assertIsNone(client.get("any"))
            self.assertEqual(client.set("any", b"foo bar"), "STORED")
            self.assertEqual(client.get("any"), b"foo bar")

    def test_statistics(self):
        path = self.users()
        node = self.start(["-Y", str(path)])
        with node.client() as client:
            self.log_in(client, "foo", "wrong")
            self.log_in(client, "foo", "bar")
            rows = client.stats()
            self.assertEqual((rows["auth_cmds"], rows["auth_errors"]), ("2", "1"))
            self.assertEqual(client.stats("settings")["auth_enabled_ascii"], str(path))

    def test_the_file_is_read_again_on_hangup(self):
        path = self.users()
        node = self.start(["-Y", str(path)])
        with self.admin(node) as old:
            self.users("new:word\n")
            node.mark()
            node.process.signal(signal.SIGHUP)
            node.wait_log(re.escape(f"auth file {path}: loaded again"))
            self.assertEqual(old.set("k", b"v"), "STORED")  # who is in stays in
            with node.client() as client:
                self.assertIn("failure", self.log_in(client, "foo", "bar"))
                self.assertEqual(self.log_in(client, "new", "word"), "STORED")
            self.users("no colon\n")
            node.process.signal(signal.SIGHUP)
            node.wait_log("line 1: not USER:PASSWORD; all stays as it was")
            with node.client() as client:
                self.assertEqual(self.log_in(client, "new", "word"), "STORED")

    def test_a_file_that_is_not_there_or_wrong_stops_the_start(self):
        for text, expected in ((None, "No such file"), ("foo\n", "line 1"), ("", "holds no")):
            path = self.directory / "other"
            path.unlink(missing_ok=True)
            if text is not None:
                path.write_text(text)
            done = subprocess.run([binary(), *AS_ROOT, "-l", HOST, "-p", str(free_port()),
                                   "--replication-port", str(free_port()), "-Y", str(path)],
                                  capture_output=True, text=True, timeout=20, check=False)
            self.assertEqual(done.returncode, 71, done.stderr)
            self.assertIn(expected, done.stderr)

    def test_no_password_is_ever_logged(self):
        node = self.start(["-Y", str(self.users("foo:sesame\n")), "-vv"])
        with node.client() as client:
            self.log_in(client, "foo", "mistyped")
            self.log_in(client, "foo", "sesame")
        for secret in ("sesame", "mistyped"):
            self.assertNotIn(secret, node.log())

    def test_a_flood_without_a_line_end_is_cut_off(self):
        node = self.start(["-Y", str(self.users())])
        with node.client() as client:
            with self.assertRaises(ConnectionLost):
                for _ in range(1000):
                    client.send(b"x" * 4096)
                client.line()
                raise TimedOut("it is still open")

    def test_a_pair_with_users_replicates(self):
        path = self.users()
        master = self.start(["-Y", str(path)])
        slave = self.node(flags=["-Y", str(path)])
        slave.start(peer=master, wait=False)
        with self.admin(master) as client:
            client.set("k", b"v")

        def arrived():
            with slave.client() as other:
                return self.log_in(other, "foo", "bar") == "STORED" and other.get("k") == b"v"
        eventually(arrived, 10, slave.log)

    def test_users_and_a_peer_elsewhere_must_be_meant(self):
        done = subprocess.run([binary(), *AS_ROOT, "-x", "10.0.0.2", "-Y", str(self.users()),
                               "--check-config"],
                              capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 78)
        self.assertIn("not authenticated", done.stderr)


if __name__ == "__main__":
    main()
