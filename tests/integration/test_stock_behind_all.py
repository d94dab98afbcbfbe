"""Tests that know nothing of it, with stock memcacheds behind their nodes: both, and one of the two.

The normal run takes a few, and the short forms of some; the clients' and the faults' tests all with
--all. The faults' whole forms are their own tests', with TANDEM_STOCK (behind.py).

  test_stock_behind_all.py [--all]
"""

import concurrent.futures
import os
import pathlib
import subprocess
import sys
import unittest

import behind
from harness import SKIPPED

TESTS = pathlib.Path(__file__).resolve().parents[1]
CUT_COPY = "integration/test_resync.py Resync.test_a_copy_that_is_cut_goes_on"
BREAK = "integration/test_resync.py Resync.test_a_break_beyond_the_journal_sends_what_is_newer"
FEW = [("both", "fault/test_resurrection.py"),
       ("mixed", "fault/test_partition.py --seconds 1"),
       ("mixed", "fault/test_cas_failover.py"),
       ("mixed", "integration/test_ack.py --rounds 2"),
       ("both", "integration/test_fence.py --switchovers 4"),
       ("mixed", "integration/test_writes_master.py --increments 4000"),
       ("both", f"{CUT_COPY} --items 10000"),
       ("both", f"{BREAK} --items 10000 --changes 8000 --seconds 0.8"),
       ("both", "interop/test_libmemcached.py"),
       ("both", "integration/test_walkthrough.py")]
AT_ONCE = 3
CLIENTS = [f"interop/test_{name}.py" for name in (
    "memcapable", "libmemcached", "pymemcache", "pylibmc", "memcache", "perl", "php", "node",
    "ruby")]
FAULTS = ["fault/test_partition.py", "fault/test_cas_failover.py", "fault/test_resurrection.py",
          "integration/test_ack.py", "integration/test_failover.py", "integration/test_fence.py",
          "integration/test_writes_master.py", "integration/test_switchover.py",
          "integration/test_walkthrough.py", "integration/test_rejoin.py",
          "integration/test_split.py", "integration/test_resync.py"]


def run(mode, test):
    """A test of another file, as its own process."""
    file, *arguments = test.split()
    path = TESTS / file
    return subprocess.run(
        [sys.executable, str(path), *arguments], cwd=path.parent, capture_output=True, text=True,
        env={**os.environ, "TANDEM_STOCK": mode, "PYTHONPATH": os.pathsep.join(
            str(TESTS / folder) for folder in ("integration", "fault", "interop"))},
        check=False)


class StockBehindAll(unittest.TestCase):
    def test_others(self):
        whole = "--all" in sys.argv
        chosen = [(mode, test) for test in CLIENTS + FAULTS
                  for mode in ("both", "mixed")] if whole else FEW
        with concurrent.futures.ThreadPoolExecutor(1 if whole else AT_ONCE) as threads:
            for (mode, test), done in zip(chosen, threads.map(run, *zip(*chosen))):
                with self.subTest(mode=mode, test=test):
                    print(f"\n  {mode} {test}: " + ("skipped" if done.returncode == SKIPPED
                                                    else f"status {done.returncode}"))
                    self.assertIn(done.returncode, (0, SKIPPED),
                                  (done.stdout + done.stderr)[-6000:])


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    if not behind.BINARY:
        print("there is no memcached to put behind the nodes")
        sys.exit(SKIPPED)
    unittest.main(argv=sys.argv[:1], verbosity=2)
