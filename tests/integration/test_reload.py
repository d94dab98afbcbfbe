"""SIGHUP: the configuration anew, all or nothing, and what waits for a restart."""

import json
import signal
import socket

import admin
import control
from admin import status
from harness import PairTest, eventually, main

MIB = 1 << 20


class Reload(PairTest):
    def hang_up(self, node, pattern):
        node.mark()
        node.process.signal(signal.SIGHUP)
        node.wait_log(pattern)

    def pending(self, node):
        return status(node)["process"]["pending_restart"]

    def rewrite(self, node, *changes):
        text = node.config.read_text()
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        node.config.write_text(text)

    def test_what_can_change_does_and_the_rest_waits(self):
        # Not by flags, which would win over the file.
        node = admin.configure(self.node("a"), yaml="cache:\n  memory: 64MiB\nlog:\n  verbosity: 1\n"
                               "workers:\n  threads: 1\n")
        arguments = node.arguments()
        for flag in ("-v", "-m"):
            at = arguments.index(flag)
            del arguments[at:at + (2 if flag == "-m" else 1)]
        node.arguments = lambda: arguments
        node.start()
        self.hang_up(node, "reload: the configuration is the same")
        self.rewrite(node, ("64MiB", "80MiB"), ("verbosity: 1", "verbosity: 0"),
                     ("threads: 1", "threads: 2"))
        self.hang_up(node, "reload: waiting for a restart: workers.threads")
        self.assertIn("reload: in force: cache.memory, log.verbosity", node.log())
        self.assertEqual(node.stats()["limit_maxbytes"], str(80 * MIB))
        self.assertEqual(node.stats("settings")["verbosity"], "0")
        self.assertEqual(node.stats()["threads"], "1")
        eventually(lambda: self.pending(node) == ["workers.threads"], 5, "it is told")
        self.assertIn("memtandem_pending_restart 1\n", admin.ask(node, "/metrics")[1])
        told = json.loads(control.run(node, "report")[0])
        self.assertTrue(any("workers.threads" in each["why"] for each in told["advice"]))
        # What was taken back waits no more.
        self.rewrite(node, ("threads: 2", "threads: 1"))
        self.hang_up(node, "reload: the configuration is the same")
        eventually(lambda: self.pending(node) == [], 5, "nothing waits")

    def test_one_mistake_and_nothing_changes(self):
        users = self.directory / "users"
        users.write_text("old:word\n")
        node = admin.configure(self.node("a", flags=["-Y", str(users)]))
        node.start(wait=False)
        eventually(lambda: status(node)["serving"], 10, "it serves")
        before = status(node)["memory"]["limit_bytes"]
        # Good users beside a wrong key: the users stay, too.
        users.write_text("new:word\n")
        self.rewrite(node, ("admin:\n", "cache:\n  memroy: 1GiB\nadmin:\n"))
        self.hang_up(node, r"a\.yaml:4:3: unknown key 'memroy'.*all stays as it was")
        node.wait_log("reload: refused")
        with node.client() as client:
            self.assertIn("failure", client.command("set x 0 0 8\r\nnew word"))
        with node.client() as client:
            self.assertEqual(client.command("set x 0 0 8\r\nold word"), "STORED")
        self.assertEqual(status(node)["memory"]["limit_bytes"], before)
        self.assertEqual(self.pending(node), [])
        # A good file beside wrong users: neither.
        self.rewrite(node, ("cache:\n  memroy: 1GiB\n", "listen:\n  backlog: 5\n"))
        users.write_text("nonsense\n")
        self.hang_up(node, "line 1: not USER:PASSWORD; all stays as it was")
        node.wait_log("reload: refused")
        self.assertEqual(self.pending(node), [])
        # Both right: both.
        users.write_text("new:word\n")
        self.hang_up(node, "reload: waiting for a restart: listen.backlog")
        with node.client() as client:
            self.assertEqual(client.command("set x 0 0 8\r\nnew word"), "STORED")
        kinds = [e["kind"] for e in json.loads(admin.ask(node, "/events")[1])["events"]
                 if "reload: " in e["text"]]
        self.assertEqual(kinds, ["error", "error", "operated"])

    def test_the_service_manager_is_told(self):
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(str(self.directory / "notify"))
        manager.settimeout(20)
        node = admin.configure(self.node("a"))
        node.environment["NOTIFY_SOCKET"] = str(self.directory / "notify")
        node.start()
        told = []

        def next_with(word):
            while True:
                told.append(manager.recv(4096).decode())
                if word in told[-1]:
                    return told[-1]
        next_with("READY=1")
        if "STATUS=master" not in told[-1]:
            next_with("STATUS=master")
        node.process.signal(signal.SIGHUP)
        self.assertRegex(next_with("RELOADING=1"), r"MONOTONIC_USEC=\d+")
        next_with("READY=1")


if __name__ == "__main__":
    main()
