"""The smallest limit, 1 MiB: what does not fit is refused, the connection goes on, memory holds."""

import random

from client import Client
from harness import HOST, MEBIBYTE, PairTest, eventually, main

REFUSED = {"SERVER_ERROR object too large for cache", "SERVER_ERROR out of memory storing object"}


class SmallMemory(PairTest):
    def setUp(self):
        super().setUp()
        self.server = self.node(memory_mib=1, flags=["-t", "2"]).start()

    def test_values_of_a_megabyte_are_refused_and_nothing_else_is_lost(self):
        with Client(HOST, self.server.port) as client:
            self.assertEqual(client.set("small", b"kept"), "STORED")
            for size in (1048000, 1048576, 1500000, 2096000):
                self.assertIn(client.set("big", b"x" * size), REFUSED)
                self.assertIsNone(client.get("big"))
            self.assertEqual(client.set("small", b"new"), "STORED")
            self.assertEqual(client.get("small"), b"new")

    def test_memory_holds_whatever_is_stored(self):
        random.seed(3)
        before = self.server.process.rss_bytes()
        sizes = (10, 100, 1000, 5000, 20000, 100000, 400000, 900000, 1048000)
        answers = set()
        with Client(HOST, self.server.port, timeout=30) as client:
            for n in range(3000):
                size = sizes[n % len(sizes)] - random.randrange(sizes[n % len(sizes)] // 4)
                value = b"%d:" % n + b"y" * size
                answer = client.set(f"key{n}", value)
                answers.add(answer)
                found = client.get(f"key{n}")
                if answer == "STORED":
                    self.assertEqual(found, value)
                else:
                    self.assertIsNone(found)
        self.assertIn("STORED", answers)
        self.assertTrue(answers & REFUSED)
        self.assertLess(self.server.process.rss_bytes() - before, 9 * MEBIBYTE)

    def test_clients_that_stop_in_the_middle_hold_no_memory(self):
        stopped = []
        for n in range(20):
            client = Client(HOST, self.server.port)
            client.send(b"set part%d 0 0 500000\r\n" % n + b"z" * 100000)
            stopped.append(client)
        with Client(HOST, self.server.port) as client:
            for waiting in stopped:
                waiting.close()
            # What they have sent is still being read, and may push it out.
            eventually(lambda: client.set("after", b"v" * 600000) == "STORED"
                       and client.get("after") == b"v" * 600000, 10,
                       "the memory of those that left is free")


if __name__ == "__main__":
    main()
