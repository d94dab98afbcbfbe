"""libmemcached's conformance test of the ASCII protocol (memccapable on Debian), and its tools."""

import re
import shutil
import subprocess
import unittest

from harness import HOST, PairTest, eventually, main

TOOL = shutil.which("memccapable") or shutil.which("memcapable")


class Memcapable(PairTest):
    def run_tool(self, node):
        return subprocess.run([TOOL, "-h", HOST, "-p", str(node.port), "-a", "-t", "5"],
                              capture_output=True, text=True, timeout=100, check=False)

    def test_every_ascii_case_passes_on_master_and_slave(self):
        self.assertIsNotNone(TOOL, "install libmemcached-tools")
        for node in self.pair():
            with self.subTest(node=node.name):
                done = self.run_tool(node)
                text = done.stdout + done.stderr
                passed = len(re.findall(r"\[pass\]", text))
                failed = re.findall(r"^.*\[FAIL\].*$", text, re.M)
                print(f"\n  {node.name}: {passed} passed, {len(failed)} failed")
                self.assertEqual(failed, [], text)
                self.assertEqual(done.returncode, 0, text)
                self.assertGreater(passed, 20, text)

    @unittest.skipIf(shutil.which("memccp") is None, "libmemcached-tools is not installed")
    def test_the_command_line_tools_across_the_pair(self):
        master, slave = self.pair()
        source = self.directory / "value.txt"
        source.write_text("copied by libmemcached\n")
        here = f"--servers={HOST}:{master.port}"
        there = f"--servers={HOST}:{slave.port}"

        def tool(*words):
            return subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)

        self.assertEqual(tool("memccp", here, str(source)).returncode, 0)
        eventually(lambda: "copied by libmemcached" in tool("memccat", there, "value.txt").stdout,
                   5, "the other node has the file")
        self.assertEqual(tool("memcping", there).returncode, 0)
        self.assertEqual(tool("memctouch", here, "--expire=100", "value.txt").returncode, 0)
        self.assertIn("pid", tool("memcstat", here).stdout)
        self.assertEqual(tool("memcrm", there, "value.txt").returncode, 0)
        with master.client() as client:
            eventually(lambda: client.get("value.txt") is None, 2, "removed on both")


if __name__ == "__main__":
    main()
