"""What a client may take: connections, time, memory and its turn."""

import contextlib
import resource
import socket
import statistics
import threading
import time

from client import Client, ConnectionLost
from harness import HOST, MEBIBYTE, SLOWDOWN, PairTest, eventually, main

TOO_MANY = "ERROR Too many open connections"
# Times that a test lets pass; long enough for a sanitized process to be in time.
STRETCH = min(SLOWDOWN, 3)


def one(node):
    """True when nobody but the asker is connected."""
    return node.stats()["curr_connections"] == "1"


def served(node):
    """A client that was let in, or None."""
    client = node.client()
    if client.command("version").startswith("VERSION "):
        return client
    client.close()
    return None


def shrink_window(client, size=4096):
    """Lets the client's kernel take little on its behalf."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


class Connections(PairTest):
    def test_one_more_than_the_limit_is_told_and_closed(self):
        node = self.node(flags=["-c", "4"]).start()
        # Who asked before may not be gone yet.
        clients = [eventually(lambda: served(node), 5, "there is a place") for _ in range(4)]
        before = int(clients[0].stats()["rejected_connections"])
        with node.client() as fifth:
            self.assertEqual(fifth.line(), TOO_MANY)
            self.assertTrue(fifth.closed())
        rows = clients[0].stats()
        self.assertEqual(rows["curr_connections"], "4")
        self.assertEqual(rows["max_connections"], "4")
        self.assertEqual(int(rows["rejected_connections"]), before + 1)
        self.assertEqual((rows["accepting_conns"], rows["listen_disabled_num"]), ("1", "0"))
        self.assertEqual(clients[0].stats("settings")["maxconns_fast"], "yes")
        clients.pop().close()
        clients.append(eventually(lambda: served(node), 5, "a place is free again"))
        for client in clients:
            client.close()

    def test_without_rejecting_they_wait_in_the_kernel(self):
        node = self.node(flags=["-c", "4", "-o", "no_maxconns_fast"]).start()
        eventually(lambda: one(node), 5, "the starter is gone")
        clients = [node.client() for _ in range(4)]
        for client in clients:
            client.command("version")
        with node.client() as fifth:
            fifth.send(b"version\r\n")
            rows = eventually(lambda: (rows := clients[0].stats())["accepting_conns"] == "0"
                              and rows, 5, "accepting stops")
            self.assertEqual(rows["rejected_connections"], "0")
            disabled = int(rows["listen_disabled_num"])
            self.assertGreaterEqual(disabled, 1)
            self.assertEqual(clients[0].stats("settings")["maxconns_fast"], "no")
            # However long it lasts it is one pause.
            time.sleep(0.1)
            self.assertEqual(clients[0].stats()["listen_disabled_num"], str(disabled))
            clients.pop().close()
            self.assertTrue(fifth.line().startswith("VERSION "))
        eventually(lambda: clients[0].stats()["accepting_conns"] == "1", 5, "it accepts again")
        for client in clients:
            client.close()

    def test_the_limit_of_open_files_is_raised_to_fit(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
        try:
            node = self.node(flags=["-c", "1500"]).start()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with open(f"/proc/{node.pid}/limits", encoding="ascii") as limits:
            row = next(line for line in limits if line.startswith("Max open files"))
        self.assertGreaterEqual(int(row.split()[3]), 1500)
        clients = [node.client() for _ in range(400)]
        for client in clients:
            self.assertTrue(client.command("version").startswith("VERSION "))
            client.close()


class Times(PairTest):
    def test_an_idle_client_is_closed_and_a_busy_one_is_not(self):
        node = self.node(flags=["-o", f"idle_timeout={int(400 * STRETCH)}ms"]).start()
        with node.client() as busy, node.client() as idle:
            idle.command("version")
            began = time.monotonic()
            kicked = threading.Event()

            def watch():
                if idle.closed():
                    kicked.set()
            watcher = threading.Thread(target=watch)
            watcher.start()
            while not kicked.is_set() and time.monotonic() - began < 5 * SLOWDOWN:
                busy.stats()
            watcher.join()
            self.assertTrue(kicked.is_set())
            self.assertGreater(time.monotonic() - began, 0.35 * STRETCH)
            self.assertEqual(busy.stats()["idle_kicks"], "1")
            self.assertEqual(busy.stats("settings")["idle_timeout"],
                             str(-(-int(400 * STRETCH) // 1000)))

    def test_without_the_option_nobody_is_kicked_and_nothing_is_counted(self):
        node = self.node().start()
        with node.client() as client:
            self.assertNotIn("idle_kicks", client.stats())
            self.assertEqual(client.stats("settings")["idle_timeout"], "0")

    def test_half_a_request_is_no_reason_to_stay(self):
        node = self.node(flags=["-o", "idle_timeout=300ms"]).start()
        with node.client() as client:
            client.send(b"set k 0 0 500000\r\nabc")
            self.assertTrue(client.closed())
        self.assertEqual(node.stats()["idle_kicks"], "1")

    def deaf(self, node, key, count):
        client = node.client()
        shrink_window(client)
        client.send(f"get {key}\r\n".encode() * count)
        return client

    def test_a_client_that_does_not_read_is_closed(self):
        node = self.node(flags=["-o", "write_timeout=300ms"]).start()
        with node.client() as client:
            client.set("large", b"x" * 1000000)
            self.assertEqual(client.stats()["write_kicks"], "0")
        deaf = self.deaf(node, "large", 100)
        began = time.monotonic()
        eventually(lambda: node.stats()["write_kicks"] == "1", 5, "it is closed")
        self.assertGreater(time.monotonic() - began, 0.2)
        eventually(lambda: one(node), 5, "it is gone")
        deaf.close()

    def test_who_takes_a_byte_now_and_then_is_closed_as_well(self):
        node = self.node(flags=["-o", "write_timeout=300ms"]).start()
        with node.client() as client:
            client.set("large", b"x" * 1000000)
        trickle = self.deaf(node, "large", 100)

        def kicked():
            trickle.socket.recv(1)
            return node.stats()["write_kicks"] == "1"
        eventually(kicked, 5, "it is closed")
        trickle.close()

    def test_a_slow_reader_that_goes_on_reading_is_left_alone(self):
        node = self.node(flags=["-o", f"write_timeout={int(500 * STRETCH)}ms"]).start()
        with node.client() as client:
            client.set("large", b"x" * 1000000)
        slow = node.client()
        self.addCleanup(slow.close)
        shrink_window(slow, 1 << 18)  # less, and the kernels wait for each other
        slow.send(b"get large\r\n" * 12)
        wanted = 12 * (len("VALUE large 0 1000000\r\n") + 1000000 + len("\r\nEND\r\n"))
        got, began = 0, time.monotonic()
        while got < wanted:
            # Three times as long as the timeout for all of it, but never too slow.
            part = slow.socket.recv(min(1 << 16, wanted - got))
            self.assertTrue(part, "closed by the server")
            got += len(part)
            time.sleep(len(part) / wanted * 1.5 * STRETCH)
        self.assertGreater(time.monotonic() - began, 1.4 * STRETCH)
        self.assertEqual(node.stats()["write_kicks"], "0")


class Fairness(PairTest):
    def test_clients_that_do_not_read_take_no_memory_to_speak_of(self):
        node = self.node().start()
        with node.client() as client:
            client.set("small", b"x" * 3000)
            client.set("large", b"x" * 900000)
        before = node.process.rss_bytes()
        deaf = []
        for key in ("small", "large"):
            for _ in range(20):
                client = Client(HOST, node.port, 0.2)
                shrink_window(client)
                deaf.append(client)
                try:
                    for _ in range(200):
                        client.send(f"get {key}\r\n".encode() * 1000)
                except ConnectionLost:
                    pass  # it is not read from any more
        # For each at most 256 KiB of replies and one more, and what was received with it.
        grown = node.process.rss_bytes() - before
        print(f"40 deaf clients: {grown / (1 << 20):.1f} MiB")
        self.assertLess(grown, 24 * MEBIBYTE)
        with node.client() as client:
            self.assertEqual(client.get("small"), b"x" * 3000)
        for client in deaf:
            client.close()
        eventually(lambda: one(node), 10, "all are gone")

    def flood(self, node, request, over):
        """Sends without end what is answered with little, until `over`."""
        client = node.client()
        client.socket.settimeout(None)

        def send():
            with contextlib.suppress(OSError):
                while not over.is_set():
                    client.socket.sendall(request)

        def drain():
            with contextlib.suppress(OSError):
                while client.socket.recv(1 << 20):
                    pass
        threads = [threading.Thread(target=send), threading.Thread(target=drain)]
        for thread in threads:
            thread.start()
        return client, threads

    def measure(self, node, key, value):
        """Seconds that each of some gets takes."""
        times = []
        with node.client(timeout=10) as client:
            for _ in range(200):
                began = time.monotonic()
                self.assertEqual(client.get(key), value)
                times.append(time.monotonic() - began)
        return times

    def test_a_client_that_sends_without_end_does_not_starve_others(self):
        requests = [(b"get " + b"a " * 1000 + b"\r\n") * 50,
                    b"incr a 1 noreply\r\n" * 5000,
                    b"set f 0 0 4 noreply\r\n0123\r\n" * 4000]
        for per_event in ("1", "20"):
            node = self.node(flags=["-t", "1", "-R", per_event]).start()
            with node.client() as client:
                client.set("k", b"v" * 100)
            over = threading.Event()
            floods = [self.flood(node, request, over) for request in requests]
            try:
                eventually(lambda: int(node.stats()["conn_yields"]) > 1000, 10, "it yields")
                busy, began = node.process.cpu_seconds(), time.monotonic()
                times = self.measure(node, "k", b"v" * 100)
                while time.monotonic() - began < 0.5:
                    times += self.measure(node, "k", b"v" * 100)
                share = (node.process.cpu_seconds() - busy) / (time.monotonic() - began)
            finally:
                over.set()
                for client, threads in floods:
                    client.socket.shutdown(socket.SHUT_RDWR)
                    for thread in threads:
                        thread.join()
                    client.close()
            print(f"-R {per_event}: {len(times)} gets beside three floods take "
                  f"{statistics.median(times) * 1000:.1f} ms, at most {max(times) * 1000:.0f} ms; "
                  f"the worker is busy for {share * 100:.0f} % of the time")
            self.assertLess(statistics.median(times), 0.1 * SLOWDOWN)
            self.assertLess(max(times), 2 * SLOWDOWN)

    def test_requests_per_event_are_counted_as_yields(self):
        node = self.node(flags=["-t", "1", "-R", "5"]).start()
        with node.client() as client:
            before = int(client.stats()["conn_yields"])
            client.send(b"get k\r\n" * 50)
            for _ in range(50):
                self.assertEqual(client.line(), "END")
            self.assertGreaterEqual(int(client.stats()["conn_yields"]) - before, 9)


if __name__ == "__main__":
    main()
