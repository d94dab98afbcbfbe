"""The engine's targets, row by row: what stock memcached reaches here, what memtandem does.

Every figure is measured on fresh processes on loopback: first memcached (`-t 1` and defaults
otherwise, as the figures that the targets were set by), then memtandem with the same -m and -I and
no peer. tandem_fill and tandem_replay measure; what exactly is said at the top of fill.cc,
fill_modes.h and replay.cc. Columns: the row, memcached's figure when the targets were set, its
figure here (a check that the measurement is the same), memtandem's, its target. A row without a
target is there to be known. Exit status: 0, 1 if a target is missed, 77 without memcached.

  engine_targets.py [--rows REGEX] [--list] [--traces DIR] [--memcached PATH] [--only-ours]
                    [--threads N] [--bench PATH]

The traces are those of the project's shared folder (TANDEM_TRACES names it, too); without them the
miss ratios are left out, and without tandem_bench (TANDEM_BENCH) the engine's times are. The
environment: TANDEM_BINARY, TANDEM_FILL, TANDEM_REPLAY, MEMCACHED.
"""

import argparse
import contextlib
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from client import Client  # noqa: E402
from harness import (HOST, SKIPPED, Node, binary, die_with_parent,  # noqa: E402
                     eventually, free_port)

MIB = 1 << 20
# What the one connection of tandem_fill may add to the 8 MiB.
CONNECTION_BYTES = 64 << 10
OVER_LIMIT_MAX = 8 * MIB + CONNECTION_BYTES


class Row:
    """One line of the table: how it is measured, the target, and how it is printed.

    `tool` is "fill", "replay" or "bench"; rows with the same measurement share one run of it.
    `worse` is "<" where less is better, ">" where more is.
    """

    def __init__(self, name, server, tool, arguments, figure, known, target=None, worse="<"):
        self.name = name
        self.server = server  # memcached's and memtandem's own flags
        self.tool = tool
        self.arguments = arguments
        self.figure = figure  # the name in the tool's output, or a function of it
        self.known = known    # memcached's when the targets were set, as text
        self.target = target
        self.worse = worse

    def value(self, figures):
        return self.figure(figures) if callable(self.figure) else figures[self.figure]

    def met(self, value):
        if self.target is None:
            return True
        return value <= self.target if self.worse == "<" else value >= self.target

    def text(self, value):
        if self.tool == "replay":
            return f"{value:.4f}"
        if self.name.startswith(("resident over", "largest resident")):
            return f"{value / MIB:.1f} MiB"
        if self.name.startswith("resident"):
            return f"{value:.1f}"
        if self.name.startswith("expired"):
            return f"{value:.1f} s"
        if self.tool == "bench":
            return f"{value:.0f} ns"
        return f"{value:,.0f}"

    def target_text(self):
        if self.target is None:
            return "-"
        return ("<= " if self.worse == "<" else ">= ") + self.text(self.target)


def fill_rows():
    for value, memory, held, per_item in (
            (100, 64, ("349,504", 430_000), ("209.5", 168)),
            (100, 1024, ("5.59 M", 6_900_000), ("199", 156)),
            (10, 64, ("699,008", 1_000_000), None),
            (1000, 64, ("56,640", 62_500), None),
            (4096, 64, ("14,720", 15_700), None)):
        where = f"{value} B values, -m {memory}"
        arguments = (["-m", memory], "fill", ["--value-size", value])
        # What `stats` counts and what can be read are the same, or the row shows it.
        yield Row(f"items held, {where}", *arguments,
                  lambda figures: min(figures["held"], figures["found"]), *held, ">")
        if per_item:
            yield Row(f"resident bytes per item, {where}", *arguments, "resident_per_item",
                      *per_item)
        yield Row(f"resident over the limit, {where}", *arguments, "over_limit_bytes",
                  "5 MB to 5x", OVER_LIMIT_MAX)


def scenario_rows():
    for memory in (9, 64, 256):
        for scenario in ("mixed", "overwrite", "ttl", "flush"):
            yield Row(f"resident over the limit, {scenario}, -m {memory}", ["-m", memory], "fill",
                      ["--scenario", scenario], "over_limit_bytes", "5 MB to 5x", OVER_LIMIT_MAX)


def expiry_rows():
    server = ["-m", 400]
    gone = (server, "fill", ["--expiry-probe", "gone", "--ttl", 75, "--patience", 90])
    usable = (server, "fill", ["--expiry-probe", "usable", "--ttl", 75, "--patience", 90])
    yield Row("expired memory usable again, shown by stats", *gone, "seconds", "> 42 s", 5)
    yield Row("expired memory usable again, for live items", *usable, "seconds", "> 42 s", 5)
    yield Row("live items lost to a refill, expired ones held", *usable,
              lambda figures: figures["first_round_lost"] + figures["elders_lost"], "")


def miss_ratio_rows():
    for trace, memory, extra, known, target in (
            ("scarab_meta", 64, [], ".2457", .212),
            ("scarab_meta", 32, [], ".3776", .228),
            ("scarab_meta", 9, [], ".4472", .336),
            ("cloudphysics_io", 203, [], ".7800", .761),
            ("cloudphysics_io", 20, [], ".8185", .827),
            ("adaptsize_cdn", 64, ["-I", "5m"], ".5856", .580),
            ("adaptsize_cdn", 28, [], ".5991", .606),
            ("ormbusy_fbobj", 64, [], ".0622", .040),
            ("ormbusy_fbobj", 20, [], ".1100", .101)):
        yield Row(" ".join(["miss ratio", f"{trace}, -m {memory}", *extra]),
                  ["-m", memory, *extra], "replay", ["--trace", f"{trace}.og.zst"], "miss_ratio",
                  known, target)
    for trace, memory, extra, known, target in (
            ("scarab_meta", 32, [], ".3921", .230),
            ("ormbusy_fbobj", 64, ["--limit", 2_000_000], ".0699", .050)):
        yield Row(f"miss ratio, 50 % overwrites, {trace}, -m {memory}", ["-m", memory], "replay",
                  ["--trace", f"{trace}.og.zst", "--overwrites", 50, *extra], "miss_ratio", known,
                  target)


def time_rows():
    for name, benchmark, target in (("single", "get", 200), ("batched", "batched get", 90)):
        yield Row(f"engine get, 5 M items, {name}", [], "bench", [],
                  lambda figures, b=benchmark: figures[b], "~390 ns (model)", target)


ROWS = [*fill_rows(), *scenario_rows(), *expiry_rows(), *miss_ratio_rows(), *time_rows()]


# ---- servers ---------------------------------------------------------------------------------


@contextlib.contextmanager
def living(running, how_it_ended):
    """A server that ends meanwhile makes the measurement fail, and is said to have done so: with
    -6 it aborted, -9 means that somebody else killed it."""
    failure = None
    try:
        yield
    except AssertionError as error:
        failure = error
        with contextlib.suppress(AssertionError):  # its connections go a moment before it does
            eventually(lambda: not running(), 1, "the server has ended")
    if not running():
        raise AssertionError(how_it_ended()) from failure
    if failure:
        raise failure


@contextlib.contextmanager
def memcached(options, flags):
    """The port of a fresh memcached."""
    port = free_port()
    child = subprocess.Popen(
        [options.memcached, "-u", "nobody", "-l", HOST, "-p", str(port), "-U", "0", "-t", "1",
         *map(str, flags)], stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
    try:
        eventually(lambda: Client(HOST, port), 5, "memcached listens").close()
        with living(lambda: child.poll() is None,
                    lambda: f"memcached ended with {child.returncode}"):
            yield port
    finally:
        child.kill()
        child.wait()


def end_of(node):
    node.note_end()
    return node.bad_ends[-1]


@contextlib.contextmanager
def memtandem(options, flags):
    """The port of a fresh memtandem without a peer."""
    given = dict(zip(flags[::2], flags[1::2]))
    memory = given.pop("-m")
    others = [str(word) for pair in given.items() for word in pair]
    with tempfile.TemporaryDirectory(prefix="memtandem-bench-") as directory:
        node = Node(directory, "memtandem", memory, ["-t", str(options.threads), *others])
        try:
            node.start()
            with living(node.running, lambda: end_of(node)):
                yield node.port
        finally:
            if node.running():
                node.kill_and_wait()


# ---- measurements ----------------------------------------------------------------------------


def figures_of(command):
    """The tool's line of name=value; what is no number is left out."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, preexec_fn=die_with_parent)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n"
                             f"{done.stdout}{done.stderr}")
    figures = {}
    for pair in done.stdout.split():
        name, text = pair.split("=", 1)
        with contextlib.suppress(ValueError):
            figures[name] = float(text)
    return figures


class Measurements:
    """Runs each measurement once and remembers it: several rows may share one."""

    def __init__(self, options):
        self.options = options
        self.done = {}

    def of(self, row, server):
        """The figures of a row's measurement; `server` is memcached or memtandem."""
        key = (server.__name__, row.tool, *map(str, row.server + row.arguments))
        if key not in self.done:
            if row.tool == "bench":
                self.done[key] = engine_times(self.options.bench, server is memtandem)
            else:
                with server(self.options, row.server) as port:
                    self.done[key] = figures_of(self.command(row, port))
        return self.done[key]

    def command(self, row, port):
        arguments = list(row.arguments)
        if row.tool == "replay":
            arguments[1] = self.options.traces / arguments[1]
        return [binary(f"TANDEM_{row.tool.upper()}", f"tandem_{row.tool}"), "--port", port,
                *arguments]


@functools.cache
def benchmark_runs(path):
    done = subprocess.run(
        [path, "--benchmark_filter=^(batched )?get/5M/(engine 1 shard|chained)/",
         "--benchmark_format=json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["benchmarks"]


def engine_times(path, ours):
    """{get, batched get: CPU ns an item}, the median of the repetitions. The model has no batches:
    its one figure stands for both."""
    layout = "engine 1 shard" if ours else "chained"
    times = {}
    for run in benchmark_runs(path):
        kind, _, rest = run["run_name"].partition("/5M/")
        if run.get("aggregate_name") == "median" and rest.startswith(f"{layout}/"):
            times[kind] = run["cpu_time"]
    times.setdefault("batched get", times["get"])
    return times


# ---- the table -------------------------------------------------------------------------------


def left_out(row, options):
    """Why a row cannot be measured here, or None."""
    if row.tool == "replay" and options.traces is None:
        return "no traces: --traces DIR or TANDEM_TRACES"
    if row.tool == "replay" and not (options.traces / row.arguments[1]).is_file():
        return f"no {row.arguments[1]} in {options.traces}"
    if row.tool == "bench" and options.bench is None:
        return "no tandem_bench: --bench PATH or TANDEM_BENCH"
    return None


def attempt(row, measurements, server):
    """The row's value with a server, or None, and why there is none."""
    try:
        return row.value(measurements.of(row, server)), ""
    except (AssertionError, subprocess.SubprocessError) as error:
        return None, f"  NOT MEASURED: {error}"


def measure(row, measurements, options):
    """Prints the row; returns whether memtandem was measured and meets its target."""
    theirs, their_failure = None, ""
    if not options.only_ours:
        theirs, their_failure = attempt(row, measurements, memcached)
    ours, our_failure = attempt(row, measurements, memtandem)
    met = ours is not None and row.met(ours)
    verdict = "" if row.target is None and met else "met" if met else "MISSED"
    texts = ["-" if value is None else row.text(value) for value in (theirs, ours)]
    print(f"{row.name:<52} {row.known:>15} {texts[0]:>10} {texts[1]:>10} {row.target_text():>12}  "
          f"{verdict}{their_failure}{our_failure}", flush=True)
    return met


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=re.compile, default=re.compile(""), metavar="REGEX")
    parser.add_argument("--list", action="store_true", help="the names of the rows")
    parser.add_argument("--traces", type=pathlib.Path, default=os.environ.get("TANDEM_TRACES"))
    parser.add_argument("--memcached", default=os.environ.get("MEMCACHED", "memcached"))
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--threads", type=int, default=4, help="of memtandem: they set its shards")
    parser.add_argument("--bench", default=os.environ.get("TANDEM_BENCH"), help="tandem_bench")
    options = parser.parse_args()
    if isinstance(options.traces, str):
        options.traces = pathlib.Path(options.traces) if options.traces else None
    return options


def main():
    options = parse_arguments()
    rows = [row for row in ROWS if options.rows.search(row.name)]
    if options.list:
        print("\n".join(row.name for row in rows))
        return 0
    options.memcached = shutil.which(options.memcached)
    if options.memcached is None and not options.only_ours:
        print("memcached is not installed: nothing to compare with")
        return SKIPPED
    print(f"{'':<52} {'memcached then':>15} {'here':>10} {'memtandem':>10} {'target':>12}")
    measurements = Measurements(options)
    missed, skipped = [], []
    for row in rows:
        why = left_out(row, options)
        if why:
            print(f"{row.name:<52} left out: {why}")
            skipped.append(row)
        elif not measure(row, measurements, options):
            missed.append(row)
    print(f"{len(rows)} rows: {len(missed)} missed, {len(skipped)} left out")
    for row in missed:
        print(f"missed: {row.name}")
    return 1 if missed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
