"""Every row of edge_cases.tsv against a real process: in one write, byte by byte and in random cuts.

The answers are those recorded from memcached 1.6.45, but for its slips that the parser's header
names. Columns: id; group; server flags; setup (sent first, its answers thrown away); sent; answer;
after (what holds then: empty, the stream is in step; `waits`, the server waits for more; `closed`);
note. Rows of one set of flags run in order on one server: some need what rows before them stored.

In the text \\r \\n \\t \\0 \\xNN are escapes, {text*N} is text N times (# in it: 0, 1, ...), {CAS} is
the CAS unique that the setup was told, <pause 1s> waits. In answers <cas> and <n> are a number,
<version> a word, <98-100> a number in that range and <...> anything.
"""

import concurrent.futures
import csv
import itertools
import pathlib
import random
import re
import socket
import time
import unittest

from harness import HOST, SLOWDOWN, PairTest, eventually, main

TABLE = pathlib.Path(__file__).with_name("edge_cases.tsv")

DEADLINE_SECONDS = 10 * SLOWDOWN
SILENCE_SECONDS = 0.05
LONG_ROW = 3000  # bytes; longer ones are not sent byte by byte
PAUSE = re.compile(r"<pause ([0-9.]+)s>")
MASKS = {
    "cas": rb"\d+",
    "n": rb"\d+",
    "version": rb"\S+",
    "...": rb"[\s\S]*",
}


def read_table():
    with open(TABLE, encoding="latin-1", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def expanded(text):
    """The text with its {...*N} written out, the innermost first."""
    repeat = re.compile(r"\{([^{}]*)\*(\d+)\}")

    def write_out(match):
        body, count = match.group(1), int(match.group(2))
        if "#" not in body:
            return body * count
        return "".join(body.replace("#", str(i)) for i in range(count))

    while repeat.search(text):
        text = repeat.sub(write_out, text)
    return text


def as_bytes(text):
    simple = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}

    def unescape(match):
        code = match.group(1)
        return bytes([int(code[1:], 16)]) if code[:1] == b"x" else simple[code.decode()]

    return re.sub(rb"\\(x[0-9a-fA-F]{2}|.)", unescape, expanded(text).encode("latin-1"))


def as_pattern(text):
    """A compiled pattern of the whole answer."""
    pattern = b""
    for part in re.split(r"(<(?:cas|n|version|\.\.\.|\d+-\d+)>)", text):
        name = part[1:-1]
        if part.startswith("<") and name in MASKS:
            pattern += MASKS[name]
        elif part.startswith("<") and re.fullmatch(r"\d+-\d+", name):
            low, high = map(int, name.split("-"))
            # A second may pass between two commands, and more under a sanitizer.
            numbers = range(max(0, low - int(SLOWDOWN)), high + 1)
            pattern += b"(?:" + b"|".join(b"%d" % n for n in numbers) + b")"
        else:
            pattern += re.escape(as_bytes(part))
    return re.compile(pattern)


class Talk:
    """A connection that takes answers as they come."""

    def __init__(self, port):
        self.socket = socket.create_connection((HOST, port), timeout=DEADLINE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = b""
        self.closed = False

    def receive(self, seconds):
        """True when something came, or the end."""
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(1 << 20)
        except socket.timeout:
            return False
        except ConnectionResetError:
            data = b""
        self.answer += data
        self.closed = self.closed or not data
        return True

    def until(self, done):
        """Receives until `done()`, the end or the deadline."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not done() and not self.closed and time.monotonic() < deadline:
            self.receive(max(0.001, deadline - time.monotonic()))
        return done()

    def send(self, data, cuts):
        """In the pieces that `cuts` gives the sizes of; an end while sending is no error."""
        at = 0
        while at < len(data):
            size = next(cuts)
            try:
                self.socket.sendall(data[at:at + size])
            except (BrokenPipeError, ConnectionResetError):
                return
            at += size

    def send_text(self, text, cuts):
        for i, part in enumerate(PAUSE.split(text)):
            if i % 2:
                time.sleep(float(part))
            else:
                self.send(as_bytes(part), cuts)


def in_one_write():
    return itertools.repeat(1 << 30)


def byte_by_byte():
    return itertools.repeat(1)


def in_random_cuts(seed):
    generator = random.Random(seed)
    while True:
        yield generator.choice((1, 2, 3, 7, 40, 1000, 20000))


class EdgeCases(PairTest):
    def run_row(self, row, port, cuts):
        """What is wrong with a row, or None."""
        talk = Talk(port)
        with talk.socket:
            cas = None
            if row["setup"]:
                talk.send_text(row["setup"], in_one_write())
                talk.send(b"mn\r\n", in_one_write())
                if not talk.until(lambda: talk.answer.endswith(b"MN\r\n")):
                    return f"the setup got {talk.answer[-300:]!r}"
                uniques = re.findall(rb"VALUE \S+ \d+ \d+ (\d+)\r\n|\bc(\d+)", talk.answer)
                cas = next((a or b for a, b in reversed(uniques)), None)
                talk.answer = b""
            sent = row["sent"]
            if "{CAS}" in sent:
                if cas is None:
                    return "the setup told no CAS unique"
                sent = sent.replace("{CAS}", cas.decode())
            talk.send_text(sent, cuts)
            return self.judge(row, talk)

    @staticmethod
    def judge(row, talk):
        wanted = as_pattern(row["answer"])
        wanted_text = row["answer"][:300]
        if row["after"] == "":
            # The answer of a command behind them all tells where theirs ends.
            talk.send(b"mn\r\n", in_one_write())
            wanted = re.compile(wanted.pattern + rb"MN\r\n")
        right = talk.until(lambda: wanted.fullmatch(talk.answer) is not None)
        if row["after"] == "closed":
            talk.until(lambda: False)
            right = wanted.fullmatch(talk.answer) is not None and talk.closed
        if row["after"] == "waits":
            right = not talk.receive(SILENCE_SECONDS) and right
        return None if right else f"wanted {wanted_text!r}, got {talk.answer[:300]!r}"

    def run_table(self, feeding, cuts_of):
        rows = read_table()
        failures = []
        for flags in dict.fromkeys(row["flags"] for row in rows):
            file = self.directory / f"auth_{feeding.replace(' ', '_')}"
            node = self.node(flags=self.flags_of(flags, file))
            for row in (r for r in rows if r["flags"] == flags):
                if not node.running():
                    self.start(node)
                if row["group"] == "shutdown":
                    node.may_end()
                wrong = self.run_row(row, node.port, cuts_of(row))
                if row["sent"].startswith("shutdown") and row["after"] == "closed":
                    node.wait_dead()
                if wrong:
                    failures.append(f"{feeding}: {row['id']} ({row['group']}) {row['sent'][:100]}: {wrong}")
            if node.running():
                node.kill_and_wait()
        print(f"\n  {feeding}: {len(rows)} rows, {len(failures)} failed")
        return failures

    @staticmethod
    def start(node):
        """Without asking it how it is: it may want a password."""
        node.start(wait=False)
        eventually(lambda: Talk(node.port).socket.close() or True, 10, "the port is open")

    @staticmethod
    def flags_of(text, file):
        """The words of a flags column; AUTHFILE (line) is the file, with that line."""
        match = re.search(r"AUTHFILE \((.*)\)", text)
        if match:
            file.write_text(match.group(1) + "\n", encoding="utf-8")
            text = text.replace(match.group(0), str(file))
        return text.split()

    def test_every_row_in_every_feeding(self):
        """The feedings at once, each to its own nodes: most of a row's time is its pauses."""
        def bytes_of(row):
            long = len(expanded(row["sent"])) > LONG_ROW
            return in_random_cuts(row["id"]) if long else byte_by_byte()
        feedings = {
            "in one write": lambda row: in_one_write(),
            "byte by byte": bytes_of,
            "in random cuts": lambda row: in_random_cuts(row["id"]),
        }
        with concurrent.futures.ThreadPoolExecutor() as threads:
            failures = [failure for some in threads.map(self.run_table, *zip(*feedings.items()))
                        for failure in some]
        self.assertEqual(failures, [], "\n".join(failures))


if __name__ == "__main__":
    main()
