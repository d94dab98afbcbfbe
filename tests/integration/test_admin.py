"""The admin port: what is told of a pair, commands, and that nobody who misuses it does any harm."""

import contextlib
import json
import re
import socket
import ssl
import time

import admin
import certificates
import control
from admin import TOKEN, ask, status
from harness import HOST, SLOWDOWN, PairTest, eventually, free_port, main, wait_in_sync

CONNECTIONS_MAX = 256


class AdminPort(PairTest):
    def admin_pair(self):
        master = admin.configure(self.node("a")).start()
        slave = admin.configure(self.node("b")).start(peer=master)
        wait_in_sync(master, slave)
        return master, slave

    def test_a_pair_is_told_of_and_changes_places(self):
        master, slave = self.admin_pair()
        for path, at_master, at_slave in (("/primary", 200, 503), ("/replica", 503, 200),
                                          ("/replica?lag=64MiB", 503, 200),
                                          ("/read-only", 200, 200), ("/readiness", 200, 200),
                                          ("/health", 200, 200), ("/liveness", 200, 200)):
            self.assertEqual((ask(master, path)[0], ask(slave, path)[0]), (at_master, at_slave),
                             path)
        self.assertEqual([status(node)["peer_role"] for node in (master, slave)],
                         ["slave", "master"])
        with master.client() as client:
            client.set("key", b"value")
            for _ in range(200):
                client.get("key")
        eventually(lambda: status(slave)["cache"]["items"] == 1, 5, "the slave has the key")
        # What is told may be a moment old.
        eventually(lambda: status(master)["commands"]["get_hits"] == 200, 5, "the gets are counted")
        # One turn in 64 of its worker is timed.
        self.assertGreaterEqual(sum(status(master)["latency"]["commands"]["get"]), 2)

        # Commands: not without the token, once with it.
        self.assertEqual(ask(master, "/switchover", "POST")[0], 401)
        code, body = ask(master, "/switchover", "POST", TOKEN)
        self.assertEqual(code, 200, body)
        eventually(lambda: ask(slave, "/primary")[0] == 200 and ask(master, "/replica")[0] == 200,
                   5, "they have changed places")
        code, body = ask(slave, "/audit", "POST", TOKEN)
        self.assertEqual(code, 200, body)
        self.assertEqual(ask(slave, "/drain", "POST", TOKEN)[0], 200)
        eventually(lambda: ask(slave, "/readiness")[0] == 503, 5, "it is drained")
        self.assertEqual(ask(slave, "/undrain", "POST", TOKEN)[0], 200)
        eventually(lambda: ask(slave, "/readiness")[0] == 200, 5, "it is not any more")

        # What happened is on record, with who said it and why the role changed.
        events = json.loads(ask(slave, "/events")[1])["events"]
        self.assertEqual([e["number"] for e in events], list(range(1, len(events) + 1)))
        self.assertTrue(any(e["kind"] == "operated" and "said drain" in e["text"] for e in events))
        self.assertTrue(any("-> MASTER" in e["text"] and e["reason"] for e in events), events)
        later = json.loads(ask(slave, f"/events?after={events[-2]['number']}")[1])["events"]
        self.assertEqual(later, events[-1:])
        # A failover, and the metrics of it.
        slave.kill_and_wait()
        eventually(lambda: ask(master, "/primary")[0] == 200, 5, "the survivor is master")
        for pattern in ("memtandem_link_up 0\n", r'memtandem_role\{role="master"\} 1\n',
                        r'memtandem_failovers_total\{reason="[^"]+"\} [12]\n'):
            eventually(lambda p=pattern: re.search(p, ask(master, "/metrics")[1]),
                       5, pattern)

    def test_the_control_socket_has_the_same(self):
        node = admin.configure(self.node("a")).start()
        with control.Control(node.control_path) as desk:
            told = json.loads(desk.run("report")[0])
            self.assertEqual((told["role"], told["version"]), ("master", status(node)["version"]))
            self.assertTrue(desk.run("check primary")[0].startswith("yes: "))
            self.assertTrue(desk.run("check in-sync")[0].startswith("no: "))
            self.assertTrue(json.loads(desk.run("events")[0])["events"])
            self.assertIn("memtandem_link_up 0", desk.run("metrics"))
            self.assertTrue(any(line.startswith("report: ") for line in desk.run("help")))
            for bad in ("check", "check nonsense", "report now", "events x"):
                with self.assertRaises(control.Refused):
                    desk.run(bad)

    def test_whoever_floods_it_or_hangs_on_it_does_no_harm(self):
        node = admin.configure(self.node("a")).start()
        with contextlib.ExitStack() as stack:
            def connect():
                return stack.enter_context(socket.create_connection((HOST, node.admin_port), 20))
            # More than it has places for, of whom half say nothing and half begin something.
            for i in range(CONNECTIONS_MAX + 44):
                sock = connect()
                if i % 2:
                    sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: ")
            # Many that ask without reading: what is sent to them is bounded by their own sockets.
            flood = [connect() for _ in range(8)]
            for sock in flood:
                sock.setblocking(False)
                with contextlib.suppress(OSError):
                    sock.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
            worst = 0.0
            with node.client() as client:
                for i in range(300):
                    began = time.monotonic()
                    client.set(f"key{i}", b"v")
                    worst = max(worst, time.monotonic() - began)
            print(f"\n  slowest set beside a flood: {worst * 1000:.1f} ms")
            self.assertLess(worst, SLOWDOWN)  # s; far more than a loop that is held up would let
            # A new one still gets in.
            self.assertEqual(ask(node, "/health")[0], 200)
            self.assertLess(node.process.descriptors(), CONNECTIONS_MAX + 100)
        self.assertTrue(node.running())

    def test_what_is_no_request_is_refused(self):
        node = admin.configure(self.node("a")).start()
        for sent, expected in ((b"set a 0 0 1\r\nx\r\n", b"HTTP/1.1 400 "),
                               (b"\x16\x03\x01\x02\x00\x01\x00" + b"\x00" * 100, b"HTTP/1.1 400 "),
                               (b"GET / HTTP/1.1\r\nX: " + b"x" * 20000, b"HTTP/1.1 431 "),
                               (b"POST /drain HTTP/1.1\r\nContent-Length: 999999\r\n\r\n",
                                b"HTTP/1.1 413 ")):
            with socket.create_connection((HOST, node.admin_port), 20) as sock:
                sock.sendall(sent)
                got = b""
                with contextlib.suppress(ConnectionResetError):
                    while part := sock.recv(4096):
                        got += part
                self.assertTrue(got.startswith(expected), (sent[:30], got))
        # Several requests at once are answered in order, the last one with an end.
        with socket.create_connection((HOST, node.admin_port), 20) as sock:
            sock.sendall(b"GET /health HTTP/1.1\r\n\r\nHEAD /nothing HTTP/1.1\r\n\r\n"
                         b"GET /liveness HTTP/1.0\r\n\r\n")
            got = b""
            while part := sock.recv(4096):
                got += part
        self.assertEqual(re.findall(rb"HTTP/1.1 (\d+)", got), [b"200", b"404", b"200"])

    def test_tls_and_the_agent_port_and_new_tokens_on_hup(self):
        authority = certificates.Authority(self.directory)
        authority.sign("admin")
        certificate, key = authority.certificate("admin"), authority.key("admin")
        agent = free_port()
        node = admin.configure(self.node("a"), admin=f"  tls_certificate: {certificate}\n"
                               f"  tls_key: {key}\n  agent_port: {agent}\n").start()
        context = ssl.create_default_context(cafile=str(authority.certificate()))
        context.check_hostname = False

        def ask_tls(token):
            with socket.create_connection((HOST, node.admin_port), 20) as plain, \
                    context.wrap_socket(plain) as sock:
                sock.sendall(b"POST /switchover HTTP/1.1\r\nConnection: close\r\n"
                             + f"Authorization: Bearer {token}\r\n\r\n".encode())
                return int(sock.recv(4096).split()[1])
        self.assertEqual((ask_tls("wrong"), ask_tls(TOKEN)), (401, 409))
        with socket.create_connection((HOST, agent), 20) as sock:
            self.assertEqual(sock.recv(100), b"up ready\n")
        other = TOKEN[::-1]
        (self.directory / "token").write_text(other + "\n")
        node.process.signal(1)
        eventually(lambda: ask_tls(other) == 409, 5, "the new token counts")
        self.assertEqual(ask_tls(TOKEN), 401)
        (self.directory / "token").write_text("short\n")
        node.process.signal(1)
        node.wait_log("the token must have")
        self.assertEqual(ask_tls(other), 409)


if __name__ == "__main__":
    main()
