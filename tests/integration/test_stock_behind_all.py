"""Tests that know nothing of it, with stock memcacheds behind their nodes: both, and one of the two.

The normal run takes a few; the clients' and the faults' tests all with --all. What compares CAS
uniques between the nodes needs a memcached from 1.6.27 on (TANDEM_MEMCACHED).

  test_stock_behind_all.py [--all]
"""

import os
import pathlib
import subprocess
import sys
import unittest

import behind
from harness import SKIPPED

TESTS = pathlib.Path(__file__).resolve().parents[1]
FEW = [("mixed", "fault/test_cas_failover.py"), ("both", "interop/test_libmemcached.py"),
       ("both", "integration/test_walkthrough.py")]
CLIENTS = [f"interop/test_{name}.py" for name in (
    "memcapable", "libmemcached", "pymemcache", "pylibmc", "memcache", "perl", "php", "node",
    "ruby")]
FAULTS = ["fault/test_partition.py", "fault/test_cas_failover.py", "integration/test_failover.py",
          "integration/test_walkthrough.py", "integration/test_rejoin.py",
          "integration/test_split.py"]
WITH_UNIQUES = ["integration/test_resync.py"]


def chosen():
    if "--all" not in sys.argv:
        return FEW
    newer = behind.version() >= [1, 6, 27]
    return [(mode, test) for test in CLIENTS + FAULTS + (WITH_UNIQUES if newer else [])
            for mode in ("both", "mixed")]


class StockBehindAll(unittest.TestCase):
    def test_others(self):
        for mode, test in chosen():
            with self.subTest(mode=mode, test=test):
                path = TESTS / test
                done = subprocess.run(
                    [sys.executable, str(path)], cwd=path.parent, capture_output=True, text=True,
                    env={**os.environ, "TANDEM_STOCK": mode, "PYTHONPATH": os.pathsep.join(
                        str(TESTS / folder) for folder in ("integration", "fault", "interop"))},
                    check=False)
                print(f"\n  {mode} {test}: " +
                      ("skipped" if done.returncode == SKIPPED else f"status {done.returncode}"))
                self.assertIn(done.returncode, (0, SKIPPED), (done.stdout + done.stderr)[-6000:])


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    if not behind.BINARY:
        print("there is no memcached to put behind the nodes")
        sys.exit(SKIPPED)
    unittest.main(argv=sys.argv[:1], verbosity=2)
