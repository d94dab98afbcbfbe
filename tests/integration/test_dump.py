"""`lru_crawler metadump` of many items while others write: nothing that was there is missing, others
are served meanwhile, and a reader that stops costs a bounded memory."""

import re
import threading
import time
import urllib.parse

from client import ConnectionLost
from harness import MEBIBYTE, PairTest, eventually, main

ITEMS = 100_000
KEY = re.compile(rb"^key=(\S+) exp=(-?\d+) la=\d+ cas=\d+ fetch=(?:yes|no) cls=\d+ size=\d+ "
                 rb"flags=\d+ $")


def fill(node, count):
    """Keys with bytes that a dump has to encode."""
    with node.client(timeout=20) as client:
        for start in range(0, count, 500):
            pairs = {f"kept/{i}": b"v" * 20 for i in range(start, min(start + 500, count))}
            assert set(client.set_many(pairs)) == {"STORED"}


def dump(client, command="lru_crawler metadump all"):
    """The lines between OK and END."""
    assert client.command(command) == "OK"
    data = bytearray()
    while not data.endswith(b"END\r\n"):
        data += take(client)
    return bytes(data[:-5]).split(b"\n")[:-1]


def take(client):
    """What has come, at least a byte."""
    if not client._buffer:
        client._receive()
    return client.exactly(len(client._buffer))


class Dump(PairTest):
    def test_every_key_that_was_there_throughout_is_in_a_dump_under_writes(self):
        node = self.node(memory_mib=128).start()
        fill(node, ITEMS)
        stop = threading.Event()
        writes, slowest = [0], [0.0]

        def write():
            with node.client(timeout=20) as client:
                while not stop.is_set():
                    i = writes[0]
                    started = time.monotonic()
                    # Overwrites that move, new keys, and keys that go again.
                    client.set_many({f"kept/{i % ITEMS}": b"w" * (i % 300), f"new{i}": b"x" * 100})
                    client.command(f"delete new{i - 50}")
                    slowest[0] = max(slowest[0], time.monotonic() - started)
                    writes[0] += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            with node.client(timeout=60) as client:
                eventually(lambda: writes[0] > 100, 10, "writes are under way")
                for _ in range(3):
                    before, started = writes[0], time.monotonic()
                    lines = dump(client)
                    took = time.monotonic() - started
                    keys = [urllib.parse.unquote_to_bytes(KEY.match(line)[1]) for line in lines]
                    kept = {key for key in keys if key.startswith(b"kept/")}
                    print(f"\n  {len(lines)} lines in {1000 * took:.0f} ms, "
                          f"{writes[0] - before} rounds of writes meanwhile")
                    self.assertEqual(len(kept), ITEMS)
                    self.assertGreater(writes[0], before)
                self.assertEqual(client.get("kept/0") is not None, True)  # it is a client again
        finally:
            stop.set()
            writer.join()
        print(f"  slowest round of writes {1000 * slowest[0]:.0f} ms")

    def test_a_reader_that_stops_costs_little_and_keeps_its_place_until_it_goes(self):
        node = self.node(memory_mib=128).start()
        fill(node, ITEMS)
        slow = node.client()
        before = node.process.rss_bytes()
        self.assertEqual(slow.command("lru_crawler metadump all"), "OK")
        with node.client() as other:
            self.assertEqual(other.command("lru_crawler mgdump all"),
                             "BUSY currently processing crawler request")
            eventually(lambda: "conn_mwrite" in other.stats("conns").values(), 5,
                       "the dump waits for its reader")
            self.assertLess(node.process.rss_bytes() - before, 4 * MEBIBYTE)
            self.assertEqual(other.stats()["lru_crawler_running"], "1")
            slow.close()
            eventually(lambda: other.stats()["lru_crawler_running"] == "0", 5, "its place is free")
            self.assertEqual(len(dump(other)), ITEMS)

    def test_they_can_be_taken_away(self):
        node = self.node(flags=["-X"]).start()
        with node.client() as client:
            self.assertEqual(client.command("lru_crawler metadump all"),
                             "ERROR metadump not allowed")
            self.assertEqual(client.command("lru_crawler mgdump all"), "ERROR key dump not allowed")
            self.assertEqual(client.command("stats cachedump 1 0"),
                             "CLIENT_ERROR stats cachedump not allowed")

    def test_a_mgdump_can_be_sent_back(self):
        node = self.node().start()
        fill(node, 1000)
        with node.client() as client:
            self.assertEqual(client.command("lru_crawler mgdump hash"), "OK")
            lines = []
            while not lines or lines[-1] != "EN":
                lines.append(client.line())
            self.assertEqual(sorted(lines[:-1]), sorted(f"mg kept/{i}" for i in range(1000)))

    def test_a_client_that_goes_in_mid_dump_leaves_no_trace(self):
        node = self.node(memory_mib=128).start()
        fill(node, 20_000)
        for _ in range(20):
            client = node.client()
            client.send(b"lru_crawler metadump all\r\n")
            client.close()
        with node.client() as client:
            def free():
                if client.command("lru_crawler metadump 63") != "OK":
                    return False
                return client.line() == "END"
            eventually(free, 5, "a dump may begin")
            try:
                self.assertEqual(len(dump(client)), 20_000)
            except ConnectionLost as error:
                self.fail(str(error))


if __name__ == "__main__":
    main()
