#!/usr/bin/env python3
"""Does the simulator find what it is there for? Plants bugs, one at a time, and counts seeds.

  tests/sim/mutants.py BUILD_FOLDER [--seeds N] [--jobs J] [--only WORD]

Works on a copy of the sources in BUILD_FOLDER/source. Each bug is a piece of text that is replaced
in one file; a piece that is not found once is an error, so that the list stays true. Prints for
each bug the seed that found it and what it was found as; exit status 1 if one was not found.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
MERGE = "common/replication/merge.cc"
SENDER = "common/replication/sender.cc"
ROLES = "common/replication/roles.cc"
STORE = "common/service/store_replication.cc"

# (what is wrong, [(file, the text there, what it becomes)])
BUGS = [
    ("floors are not asked: what was evicted or expired comes back",
     [(MERGE, "if (!local) return in.stored <= floor ? merge_verdict::refuse : merge_verdict::take;",
       "if (!local) return in.stored <= floor && false ? merge_verdict::refuse : merge_verdict::take;")]),
    ("'gone' is not sent: the peer keeps what was overwritten and lost here",
     [(STORE, "      go_on = sink(gone(e.key, e.changed));\n    } else if",
       "    } else if")]),
    ("an overrun of the journal goes unnoticed",
     [(SENDER, "if (data_.journal_begin(s) > acked_[s]) return false;",
       "if (data_.journal_begin(s) > acked_[s]) continue;"),
      (SENDER, "if (data_.journal_begin(s) > sent_[s]) note_overrun(s);", "")]),
    ("no scan is asked of the peer after an overrun: it may hold what was deleted here",
     [(SENDER, "  ask_for_scan_ = true;\n", "")]),
    ("what was sent counts as acknowledged when a session ends",
     [(SENDER, "  waits_for_large_.assign(waits_for_large_.size(), false);\n  sent_ = acked_;",
       "  waits_for_large_.assign(waits_for_large_.size(), false);\n  acked_ = sent_;")]),
    ("the lag counts what was sent as arrived",
     [(SENDER, "    result.records += end - acked_[s];", "    result.records += end - sent_[s];")]),
    ("the lag counts nothing that is under way, and acknowledgements are believed too early",
     [(SENDER, "in_flight_.front().sequence <= sequence)", "in_flight_.front().sequence <= sequence + 3)")]),
    ("a process that is filled does not learn which versions were issued before it",
     [("common/replication/receiver.cc", "        data_.observe(*highest);\n", ""),
      (STORE, "  p.clock.observe(incoming.meta.changed());\n", "")]),
    ("a later touch is not merged",
     [(MERGE, "return expiry(in) > expiry(local->meta) ? merge_verdict::take_touch : merge_verdict::keep;",
       "return merge_verdict::keep;")]),
    ("of two states under one version each node keeps its own",
     [(MERGE, "    return order < 0 ? merge_verdict::take : merge_verdict::keep;",
       "    return merge_verdict::keep;")]),
    ("tombstones go although the peer has not confirmed them",
     [(STORE, "  const bool complete = all_older && upto >= p.journal.begin();",
       "  const bool complete = true;")]),
    ("a new session does not say what was flushed",
     [(SENDER, "  flush_sent_ = {};\n  any_sent_ = false;", "  any_sent_ = false;")]),
    ("a peer's stale state is not answered",
     [(STORE, "  if (stored >= unshared) return;", "  return;\n  if (stored >= unshared) return;")]),
    ("a node that is being filled goes on serving",
     [(ROLES, "  serve(false);\n  complete_ = false;", "  complete_ = false;")]),
    ("a slave that is cut off keeps its term when it takes over",
     [(ROLES, "  take_role(role_state::master, term_ + 1, reason);",
       "  take_role(role_state::master, std::max<std::uint64_t>(term_, 1), reason);"),
      (ROLES, "#include <utility>\n", "#include <algorithm>\n#include <utility>\n")]),
    ("a large value that was replaced under way is sent to its end",
     [(SENDER, "  const auto standing = data_.check(l.key, l.meta.changed());",
       "  const auto standing = data_port::standing::current;")]),
    ("a session that ended is not forgotten: half a large value is put before the next",
     [("common/replication/receiver.cc", "  large_size_ = large_have_ = 0;\n}", "}")]),
]


def build(folder):
    run = subprocess.run(["cmake", "--build", folder, "--target", "tandem_sim"],
                         capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"it does not build:\n{run.stdout[-3000:]}{run.stderr[-3000:]}")


def plant(source, changes):
    """Replaces the pieces; returns what restores the files."""
    before = {}
    for name, old, new in changes:
        path = source / name
        text = path.read_text()
        before.setdefault(path, text)
        if text.count(old) != 1:
            sys.exit(f"{name} has {text.count(old)} times, not once:\n{old}")
        path.write_text(text.replace(old, new))
    return before


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build_folder", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--jobs", default="1")
    parser.add_argument("--only", default="")
    settings = parser.parse_args()

    source = settings.build_folder / "source"
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others",
                             "--exclude-standard"], capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        # Only what has changed, so that only that is built again.
        if not (source / name).exists() or (source / name).read_bytes() != (ROOT / name).read_bytes():
            shutil.copy(ROOT / name, source / name)
    folder = settings.build_folder / "build"
    launcher = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
    subprocess.run(["cmake", "-S", source, "-B", folder, "-G", "Ninja",
                    "-DCMAKE_BUILD_TYPE=Release", *launcher], check=True,
                   stdout=subprocess.DEVNULL)

    missed = 0
    for what, changes in BUGS:
        if settings.only not in what:
            continue
        before = plant(source, changes)
        try:
            build(folder)
            began = time.monotonic()
            run = subprocess.run([folder / "tests/tandem_sim", "--seeds", str(settings.seeds),
                                  "--jobs", settings.jobs, "--stop"],
                                 capture_output=True, text=True)
        finally:
            for path, text in before.items():
                path.write_text(text)
        found = re.search(r"FAILED seed (\d+): (.*)", run.stdout)
        missed += not found
        print(f"{what}\n    " + (f"seed {found[1]}, {time.monotonic() - began:.1f} s: "
                                 f"{found[2][:150]}" if found
                                 else f"NOT FOUND in {settings.seeds} seeds"), flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
