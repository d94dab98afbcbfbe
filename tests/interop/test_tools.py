"""memcached-tool (of Debian's memcached package) and libmemcached's memcstat and memcdump print
sensible tables of a node."""

import os
import re
import shutil
import subprocess

from harness import HOST, SKIPPED, PairTest, main

MEMCACHED_TOOL = "/usr/share/memcached/scripts/memcached-tool"
MEMCSTAT = shutil.which("memcstat") or shutil.which("memstat")
MEMCDUMP = shutil.which("memcdump") or shutil.which("memdump")


class Tools(PairTest):
    def setUp(self):
        super().setUp()
        self.node = self.node().start()
        with self.node.client() as client:
            client.set_many({f"small{i}": b"v" * 10 for i in range(50)})
            client.set("middle", b"v" * 2000)
            client.set("large", b"v" * 100000)
            client.set("expires", b"soon", exptime=1000)
            client.set("odd/key%", b"a b")
            client.get("small1")

    def run_tool(self, *words):
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotRegex(done.stderr, "ERROR", done.stderr)
        return done.stdout

    def memcached_tool(self, *words):
        return self.run_tool("perl", MEMCACHED_TOOL, f"{HOST}:{self.node.port}", *words)

    def table(self, *words):
        return dict(re.findall(r"^\s+(\S+)\s+(\S+)$", self.memcached_tool(*words), re.M))

    def test_display_shows_a_row_for_each_class(self):
        lines = self.memcached_tool("display").splitlines()
        self.assertRegex(lines[0], r"#\s+Item_Size\s+Max_age\s+Pages\s+Count\s+Full\?")
        rows = {int(row[0]): row for row in (line.split() for line in lines[1:])}
        self.assertEqual(sorted(rows), [1, 2, 4], lines)
        self.assertEqual([rows[n][4] for n in (1, 2, 4)], ["52", "1", "1"], lines)
        self.assertEqual([rows[n][1] for n in (1, 2, 4)], ["512B", "4.0K", "1024.0K"], lines)
        for row in rows.values():
            self.assertEqual(len(row), 9, row)

    def test_stats_and_settings(self):
        stats = self.table("stats")
        self.assertEqual(stats["curr_items"], "54")
        self.assertEqual(stats["get_hits"], "1")
        self.assertRegex(stats["rusage_user"], r"^\d+\.\d{6}$")
        settings = self.table("settings")
        self.assertEqual(settings["maxbytes"], str(64 << 20))
        self.assertEqual(settings["tcpport"], str(self.node.port))
        self.assertEqual(self.table("sizes"), {"sizes_status": "disabled"})

    def test_a_dump_can_be_replayed(self):
        dump = self.memcached_tool("dump")
        adds = re.findall(r"^add (\S+) (\d+) (\d+) (\d+)$", dump, re.M)
        self.assertEqual(len(adds), 54, dump[:2000])
        by_key = {add[0]: add for add in adds}
        self.assertEqual(by_key["large"][3], "100000")
        self.assertEqual(by_key["odd/key%"][3], "3")
        self.assertEqual(by_key["small1"][2], "0")
        with self.node.client() as client:
            now = int(client.stats()["time"])
            self.assertAlmostEqual(int(by_key["expires"][2]), now + 1000, delta=60)
            client.command("flush_all")
            client.send(dump.replace("\n", "\r\n").replace("\r\r", "\r").encode())
            for _ in adds:
                self.assertEqual(client.line(), "STORED")
            self.assertEqual(client.get("odd/key%"), b"a b")

    def test_keys_are_listed_up_to_a_limit(self):
        self.assertEqual(len(re.findall(r"^key=", self.memcached_tool("keys"), re.M)), 54)
        self.assertEqual(len(re.findall(r"^key=", self.memcached_tool("keys", "10"), re.M)), 9)

    def test_memcstat_prints_every_row(self):
        text = self.run_tool(MEMCSTAT, f"--servers={HOST}:{self.node.port}")
        rows = dict(re.findall(r"^\s+(\w+): (\S+)$", text, re.M))
        self.assertEqual(rows["curr_items"], "54", text)
        for name in ("pid", "uptime", "version", "pointer_size", "rusage_user", "cmd_get",
                     "evictions", "bytes", "limit_maxbytes", "threads", "curr_connections"):
            self.assertIn(name, rows, text)

    def test_memcdump_lists_the_keys(self):
        text = self.run_tool(MEMCDUMP, f"--servers={HOST}:{self.node.port}")
        self.assertEqual(len(text.split()), 54, text)
        self.assertIn("odd/key%", text.split())


if __name__ == "__main__":
    if not os.path.exists(MEMCACHED_TOOL) or not MEMCSTAT or not MEMCDUMP:
        print("skipped: memcached or libmemcached-tools is not installed")
        raise SystemExit(SKIPPED)
    main()
