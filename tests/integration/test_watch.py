"""`watch` on real sockets: what it streams, and that nobody waits for a watcher that does not read."""

import re
import time

from client import Client, TimedOut
from harness import HOST, MEBIBYTE, SLOWDOWN, PairTest, eventually, main, wait_in_sync

LINE = re.compile(r"^ts=\d+\.\d{6} gid=(\d+) type=(\w+) ?(.*)$")


class Watcher(Client):
    """A connection that watches; its lines end in LF."""

    def __init__(self, node, kinds=""):
        super().__init__(HOST, node.port, 5 * SLOWDOWN)
        answer = self.command(f"watch {kinds}".strip())
        assert answer == "OK", answer

    def next(self):
        """The next line, without its end."""
        while b"\n" not in self._buffer:
            self._receive()
        end = self._buffer.index(b"\n")
        text = bytes(self._buffer[:end]).decode()
        del self._buffer[:end + 1]
        return text

    def event(self, kind):
        """The fields of the next line of this type."""
        while True:
            match = LINE.match(self.next())
            assert match, "no line of a watch"
            if match[2] == kind:
                return dict(field.split("=", 1) for field in match[3].split(" "))


class Watch(PairTest):
    def watch(self, node, kinds=""):
        watcher = Watcher(node, kinds)
        self.addCleanup(watcher.close)
        return watcher

    def test_fetches_stores_and_deletes_name_the_connection(self):
        node = self.node().start()
        watcher = self.watch(node, "fetchers mutations deletions")
        with node.client() as client:
            def connections():
                return [name for name in client.stats("conns") if name.endswith(":addr")]
            eventually(lambda: len(connections()) == 3, 5, "the port, the watcher and this one")
            client.set("k", b"abc")
            client.get("k")
            client.command("delete k")
            port = client.socket.getsockname()[1]
            rows = client.stats("conns")
            own = next(name.split(":")[0] for name, value in rows.items()
                       if value == f"tcp:{HOST}:{port}")
            self.assertEqual(rows[f"{own}:listen_addr"], f"tcp:{HOST}:{node.port}")
            self.assertEqual(rows[f"{own}:state"], "conn_parse_cmd")
            stored = watcher.event("item_store")
            self.assertEqual(stored, {"key": "k", "status": "stored", "cmd": "set", "ttl": "0",
                                      "clsid": "1", "cfd": own, "size": "3"})
            self.assertEqual(watcher.event("item_get")["status"], "found")
            self.assertEqual(watcher.event("deleted")["cmd"], "delete")

    def test_connections_come_and_go(self):
        node = self.node().start()
        watcher = self.watch(node, "connevents")
        client = node.client()
        port = str(client.socket.getsockname()[1])
        opened = watcher.event("conn_new")
        self.assertEqual((opened["rip"], opened["rport"], opened["transport"]),
                         (HOST, port, "tcp"))
        client.send(b"quit\r\n")
        closed = watcher.event("conn_close")
        while closed["rport"] != port:  # the connections by which the start was awaited
            closed = watcher.event("conn_close")
        self.assertEqual((closed["rport"], closed["reason"], closed["cfd"]),
                         (port, "normal", opened["cfd"]))
        client.close()
        with node.client() as client:
            client.send(b"GET / HTTP/1.1\r\n")
            self.assertEqual(watcher.event("conn_close")["reason"], "error")
        node.client().close()
        self.assertEqual(watcher.event("conn_close")["reason"], "normal")

    def test_a_watcher_that_goes_is_counted_no_more(self):
        node = self.node().start()
        watchers = [self.watch(node), self.watch(node, "evictions")]
        self.assertEqual(node.stats()["log_watchers"], "2")
        for each in watchers:
            each.close()
        eventually(lambda: node.stats()["log_watchers"] == "0", 5, "no watcher is left")

    def test_a_watcher_is_given_nothing_else(self):
        node = self.node().start()
        watcher = self.watch(node, "mutations")
        watcher.send(b"get k\r\nversion\r\nquit\r\n")
        with node.client() as client:
            client.set("k", b"v")
        self.assertIn("type=item_store key=k", watcher.next())

    def test_a_slow_watcher_costs_little_and_learns_what_it_missed(self):
        node = self.node().start()
        slow = self.watch(node, "fetchers")
        quick = self.watch(node, "evictions")
        key = "k" * 200
        batch = f"get {' '.join([key] * 100)}\r\n".encode()
        with node.client(timeout=20) as client:
            client.send(batch)
            client.line()
            before = node.process.rss_bytes()
            slowest = 0
            for _ in range(3000):
                started = time.monotonic()
                client.send(batch)
                self.assertEqual(client.line(), "END")
                slowest = max(slowest, time.monotonic() - started)
            grown = node.process.rss_bytes() - before
            stats = client.stats()
            print(f"\n  {stats['log_worker_written']} lines, {stats['log_watcher_skipped']} "
                  f"skipped, {grown >> 10} KiB more memory, slowest reply {1000 * slowest:.0f} ms")
            self.assertGreater(int(stats["log_watcher_skipped"]), 100_000)
            self.assertEqual(int(stats["log_watcher_skipped"]) + int(stats["log_watcher_sent"]),
                             int(stats["log_worker_written"]))
            self.assertLess(grown, 4 * MEBIBYTE)
            self.count_all(slow, client)
            quick.close()

    def count_all(self, slow, client):
        """Reads on until a line of its own comes: nothing is lost that was not counted."""
        slow.socket.settimeout(0.3 * SLOWDOWN)
        lines, skipped, last, line = 0, 0, 0, ""
        deadline = time.monotonic() + 60 * SLOWDOWN
        while "key=end" not in line:
            self.assertLess(time.monotonic(), deadline, "the end does not come")
            try:
                line = slow.next()
            except TimedOut:  # drained: the next line tells what was skipped before it
                client.get("end")
                continue
            missed = re.match(r"^skipped=(\d+)$", line)
            if missed:
                skipped += int(missed[1])
                last += int(missed[1])
                continue
            self.assertEqual(int(LINE.match(line)[1]), last + 1)
            lines += 1
            last += 1
        stats = client.stats()
        self.assertGreater(skipped, 100_000)
        self.assertEqual(lines + skipped, last)
        self.assertEqual(skipped, int(stats["log_watcher_skipped"]))

    def test_what_the_link_does_and_what_the_peer_sends(self):
        master = self.node("a").start()
        watcher = self.watch(master, "replication")
        slave = self.node("b").start(peer=master)
        wait_in_sync(master, slave)
        self.assertIn("replication: accept", self.wait_for(watcher, "replication: accept"))
        with slave.client() as client:
            client.set("from-slave", b"12345")
        applied = watcher.event("replication_apply")
        self.assertEqual((applied["key"], applied["kind"], applied["status"], applied["size"]),
                         ("from-slave", "value", "applied", "5"))
        slave.kill_and_wait()
        self.assertIn("msg=", self.wait_for(watcher, "replication: close"))

    @staticmethod
    def wait_for(watcher, text):
        while True:
            line = watcher.next()
            if text in line:
                return line

    def test_it_can_be_taken_away(self):
        node = self.node(flags=["-W"]).start()
        with node.client() as client:
            self.assertEqual(client.command("watch"), "CLIENT_ERROR watch commands not allowed")
            self.assertEqual(client.stats("settings")["watch_enabled"], "no")

    def test_a_watcher_is_not_idle_although_it_is_silent(self):
        node = self.node(flags=["-o", "idle_timeout=1"]).start()
        watcher = self.watch(node, "connevents")
        idle = node.client()
        self.addCleanup(idle.close)
        port = str(idle.socket.getsockname()[1])
        closed = watcher.event("conn_close")
        while closed["rport"] != port:
            closed = watcher.event("conn_close")
        self.assertEqual(closed["reason"], "idle_timeout")
        eventually(lambda: int(node.stats()["uptime"]) >= 3, 10, "two more idle times pass")
        rows = node.stats("conns")
        self.assertEqual(list(rows.values()).count("conn_watch"), 1)

    def test_evictions_are_told(self):
        node = self.node(memory_mib=16).start()
        watcher = self.watch(node, "evictions")
        with node.client() as client:
            for i in range(100):
                client.set(f"k{i}", b"x" * 400_000)
        evicted = watcher.event("eviction")
        self.assertEqual(evicted["fetch"], "no")
        self.assertEqual(evicted["ttl"], "-1")
        self.assertEqual(evicted["size"], "400000")


if __name__ == "__main__":
    main()
