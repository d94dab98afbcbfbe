"""A node in front of a stock memcached (cache.engine: memcached), alone: order and content of what
clients get, and what they get while the memcached is gone, stopped or back."""

import random
import socket
import threading
import time

import behind
from fault_proxy import BACKWARD, FaultProxy
from harness import HOST, SLOWDOWN, eventually, main
from stock import StockTest

GONE = b"SERVER_ERROR the backend is out of reach\r\n"
SILENT = b"SERVER_ERROR no answer from the backend\r\n"


def talk(node, data, answer_end, seconds=10):
    """What comes back for `data`, up to and with `answer_end`."""
    with socket.create_connection((HOST, node.port), timeout=seconds * SLOWDOWN) as conn:
        conn.sendall(data)
        answer = b""
        while not answer.endswith(answer_end):
            piece = conn.recv(1 << 20)
            if not piece:
                break
            answer += piece
        return answer


class StockBackend(StockTest):
    def test_a_long_pipeline_is_answered_in_order_over_several_lanes(self):
        node = self.stock_node("a", flags=["-t", "3"]).start()
        version = talk(node, b"version\r\n", b"\r\n")
        sent, wanted = b"", b""
        for i in range(2000):
            value = b"%d" % i * (1 + i % 50)
            sent += b"set k%d %d 0 %d\r\n%s\r\nget k%d none k%d\r\n" % (
                i, i, len(value), value, i, i)
            told = b"VALUE k%d %d %d\r\n%s\r\n" % (i, i, len(value), value)
            wanted += b"STORED\r\n" + 2 * told + b"END\r\n"
            if i % 11 == 0:
                sent += b"delete k%d\r\nversion\r\nget k%d\r\n" % (i, i)
                wanted += b"DELETED\r\n" + version + b"END\r\n"
            if i % 500 == 0:
                sent += b"set big 0 0 2000000\r\n" + b"x" * 2000000 + b"\r\n"
                wanted += b"SERVER_ERROR object too large for cache\r\n"
        sent += b"get last\r\nversion\r\n"
        wanted += b"END\r\n" + version
        with socket.create_connection((HOST, node.port), timeout=20 * SLOWDOWN) as conn:
            writer = threading.Thread(target=conn.sendall, args=(sent,))
            writer.start()
            got = b""
            while len(got) < len(wanted):
                piece = conn.recv(1 << 20)
                self.assertTrue(piece, "the connection stays")
                got += piece
            writer.join()
        self.assertEqual(got, wanted)

    def test_what_many_clients_ask_for_at_once_is_told_apart(self):
        node = self.stock_node("a", flags=["-t", "2"]).start()
        values = {b"k%d" % i: (b"END\r\n" * i)[:3 * i] for i in range(0, 40, 2)}

        def told(*keys):
            return b"".join(b"VALUE %s 7 %d\r\n%s\r\n" % (key, len(values[key]), values[key])
                            for key in keys if key in values) + b"END\r\n"
        with node.client() as client:
            for key, value in values.items():
                client.send(b"set %s 7 0 %d\r\n%s\r\n" % (key, len(value), value))
                self.assertEqual(client.line(), "STORED")
        keys = [b"k%d" % i for i in range(40)]
        lone = [random.Random(client).choices(keys, k=60) for client in range(20)]
        sockets = [socket.create_connection((HOST, node.port), timeout=10 * SLOWDOWN)
                   for _ in lone]
        for conn, asked in zip(sockets, lone):
            conn.sendall(b"".join(b"get %s\r\nget %s none %s\r\n" % (key, key, keys[at % 40])
                                  for at, key in enumerate(asked)))
        for conn, asked in zip(sockets, lone):
            wanted = b"".join(told(key) + told(key, b"none", keys[at % 40])
                              for at, key in enumerate(asked))
            with conn, conn.makefile("rb") as replies:
                self.assertEqual(replies.read(len(wanted)), wanted)

    def test_clients_get_an_error_at_once_and_it_all_comes_back(self):
        node = self.stock_node("a").start()
        self.assertEqual(talk(node, b"set k 0 0 1\r\nx\r\n", b"\r\n"), b"STORED\r\n")
        node.backend.kill()
        eventually(lambda: node.stats()["backend"] == "down", 5, "the loss is noticed")
        began = time.monotonic()
        self.assertEqual(talk(node, b"get k\r\n", b"\r\n"), GONE)
        self.assertEqual(talk(node, b"set k 0 0 1 noreply\r\nx\r\nmg k v\r\n", b"\r\n"), GONE)
        self.assertLess(time.monotonic() - began, 1 * SLOWDOWN)
        node.backend.start()
        node.wait_serving()
        self.assertEqual(talk(node, b"get k\r\n", b"END\r\n"), b"END\r\n")
        self.assertEqual(talk(node, b"set k 0 0 1\r\ny\r\n", b"\r\n"), b"STORED\r\n")

    def test_a_memcached_that_hangs_costs_its_timeout_and_no_more(self):
        node = self.stock_node("a").start()
        node.backend.stop()
        began = time.monotonic()
        self.assertEqual(talk(node, b"get a b\r\n", b"\r\n"), SILENT)
        self.assertLess(time.monotonic() - began, 3 * SLOWDOWN)
        node.backend.resume()
        node.wait_serving()
        self.assertEqual(talk(node, b"get a b\r\n", b"END\r\n"), b"END\r\n")

    def test_a_new_connection_has_all_its_timeout_whatever_the_last_one_waited_for(self):
        timeout = 2 * min(SLOWDOWN, 3)  # seconds
        way = FaultProxy(self.memcached().start().port)
        self.addCleanup(way.close)
        node = self.stock_node("a", way, timeout_ms=2000)
        node.environment = {"MEMTANDEM_BACKEND_WATCH_WRITES": "false"}  # which asks things itself
        node.start()
        rows = node.stats()
        losses = int(rows["backend_losses"]) + int(rows["backend_connections"])
        with node.client() as first:
            way.stalled = {BACKWARD}
            began = time.monotonic()
            first.send(b"get k\r\n")
            time.sleep(0.8 * timeout)
            way.stalled = set()
            way.cut()
            eventually(lambda: int(node.stats()["backend_losses"]) >= losses
                       and node.backend_up(), 5, "it has connected again")
        with node.client() as second:
            way.stalled = {BACKWARD}
            second.send(b"get k\r\n")
            time.sleep(max(0.0, began + 1.1 * timeout - time.monotonic()))
            way.stalled = set()
            self.assertEqual(second.line(), "END")

    def test_writes_that_go_round_it_are_noticed(self):
        node = self.stock_node("a", flags=["-t", "2"]).start()

        def bypassed():
            return int(node.stats()["backend_bypassed"])
        eventually(lambda: node.stats()["backend_watched"] == "yes", 5, "it is watched")
        with node.client() as client, node.backend.client() as round_it:
            # From the moment on when its own connections are known.
            eventually(lambda: round_it.set("stray", b"x") == "STORED" and bypassed() > 0, 10,
                       "a write that goes round it is counted")
            node.wait_log(r"backend: \d+ writes went round this process", 15)
            before = self.settled(bypassed)
            for i in range(100):
                self.assertEqual(client.set(f"k{i}", b"x"), "STORED")
                if i % 2:
                    self.assertEqual(client.command(f"delete k{i}"), "DELETED")
            for i in range(10):
                self.assertEqual(round_it.set(f"round{i}", b"x"), "STORED")
            newer = behind.version() >= [1, 6, 20]
            if newer:
                self.assertEqual(round_it.command("delete k0"), "DELETED")
            wanted = before + 10 + (1 if newer else 0)
            eventually(lambda: bypassed() >= wanted, 10, lambda: f"{bypassed()}, not {wanted}")
            self.assertEqual(self.settled(bypassed), wanted)

    def settled(self, value):
        """The value once it has not changed for longer than the lines of a change take."""
        seen = {"value": None, "since": 0.0}

        def same():
            now = value()
            if now != seen["value"]:
                seen.update(value=now, since=time.monotonic())
            return time.monotonic() - seen["since"] > 1.5 * min(SLOWDOWN, 2)
        eventually(same, 20, "the count comes to rest")
        return seen["value"]

    def test_many_clients_that_leave_in_the_middle_do_no_harm(self):
        node = self.stock_node("a", flags=["-t", "2"]).start()
        for i in range(100):
            with socket.create_connection((HOST, node.port)) as conn:
                conn.sendall(b"set k%d 0 0 1000\r\n" % i + b"x" * 1000 + b"\r\nget k%d\r\n" % i * 50)
        self.assertEqual(talk(node, b"set k 0 0 1\r\nx\r\nget k\r\n", b"END\r\n"),
                         b"STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n")
        eventually(lambda: node.stats()["curr_connections"] == "1", 5, "they are gone")


if __name__ == "__main__":
    main()
