"""What meta commands change reaches the other node: marks, created items, CAS uniques, expiries."""

from harness import PairTest, main, wait_in_sync

# (sent on one node, its answer, sent on the other once that has been told, its answer). `@` stands
# for the key; the steps of a script hang on each other.
SCRIPTS = {
    "a CAS unique of the client's": [
        ("ms @ 3 F5 T100 E777\r\nold", "HD", "mg @ c f t v", r"VA 3 c777 f5 t(100|9\d)\r\nold"),
        ("md @ I E778", "HD", "mg @ c v", r"VA 3 c778 X W\r\nold"),
        ("ms @ 2 C778\r\n10", "HD", "mg @ v", r"VA 2\r\n10"),
        ("ma @ E779", "HD", "mg @ c v", r"VA 2 c779\r\n11"),
        ("touch @ 50", "TOUCHED", "mg @ c t", r"HD c779 t(50|4\d)"),
        ("incr @ 1", "12", "mg @ C779 v", r"VA 2\r\n12"),
    ],
    "stale marks and who was told": [
        ("ms @ 3 T100\r\nold", "HD", "mg @ v", r"VA 3\r\nold"),
        ("md @ I T30", "HD", "mg @ t v", r"VA 3 t(30|2\d) X W\r\nold"),
        ("mg @ v", r"VA 3 Z X\r\nold", "mg @ v", r"VA 3 Z X\r\nold"),
        ("md @ I q\r\nmn", "MN", "gets @", r"VALUE @ 0 3 \d+\r\nold\r\nEND"),
        ("mg @ v", r"VA 3 X W\r\nold", "mg @ v", r"VA 3 Z X\r\nold"),
        ("ms @ 3 I C1\r\nmid", "HD", "mg @ v", r"VA 3 Z X\r\nmid"),
        ("ms @ 3\r\nnew", "HD", "mg @ v", r"VA 3\r\nnew"),
    ],
    "items that a miss creates": [
        ("mg @ N30 t", r"HD t30 W", "mg @ N30 t v", r"VA 0 t(30|2\d) Z\r\n"),
        ("md @", "HD", "mg @", "EN"),
        ("ma @ N60 J13 q\r\nmn", "MN", "mg @ t v", r"VA 2 t(60|5\d)\r\n13"),
        ("ma @ MD D3 T20", "HD", "mg @ t v", r"VA 2 t(20|1\d)\r\n10"),
        ("md @ q\r\nmn", "MN", "mg @", "EN"),
        ("ms @ 2 MA N40\r\nab", "HD", "mg @ t v", r"VA 2 t(40|3\d)\r\nab"),
        ("ms @ 2 MP q\r\n<>\r\nmn", "MN", "mg @ v", r"VA 4\r\n<>ab"),
    ],
    "expiries and win tokens of mg": [
        ("ms @ 1 T100\r\n1", "HD", "mg @ t", r"HD t(100|9\d)"),
        ("mg @ T500", "HD", "mg @ t", r"HD t(500|49\d)"),
        ("mg @ R1000", "HD W", "mg @ R1000", "HD Z"),
        ("gat 300 @", r"VALUE @ 0 1\r\n1\r\nEND", "mg @ t", r"HD t(300|29\d) Z"),
        ("mg @ T-1 q", "HD Z", "mg @", "EN"),
    ],
    "values removed, their CAS unique kept": [
        ("ms @ 3 F9 E5\r\nold", "HD", "mg @ c f v", r"VA 3 c5 f9\r\nold"),
        ("md @ x q\r\nmn", "MN", "mg @ c f v", r"VA 0 c5 f0\r\n"),
        ("md @ x I T30 F3", "HD", "mg @ t f v", r"VA 0 t(30|2\d) f3 X W\r\n"),
    ],
    "binary keys": [
        ("ms S0VZ 1 b\r\n1", "HD", "mg KEY k v", r"VA 1 kS0VZ b\r\n1"),
        ("ms S0VZ 1 b MA\r\n2", "HD", "mg S0VZ b k v", r"VA 2 kS0VZ b\r\n12"),
        ("ma KEY", "HD", "mg KEY k v", r"VA 2 kS0VZ b\r\n13"),
        ("md S0VZ b", "HD", "mg KEY", "EN"),
    ],
    "large values": [
        ("ms @ 50000 E9\r\n" + 50000 * "x", "HD", "mg @ s c", "HD s50000 c9"),
        ("md @ I", "HD", "mg @ s v", r"VA 50000 s50000 X W\r\nx{50000}"),
    ],
}


class MirrorMeta(PairTest):
    def setUp(self):
        super().setUp()
        self.master, self.slave = self.pair()

    def ask(self, node, text):
        """What a request and an mn behind it are answered, up to the MN."""
        with node.client() as client:
            client.send(text.encode("latin-1") + b"\r\nmn\r\n")
            lines = []
            while True:
                lines.append(client.line())
                if lines[-1] == "MN" and not (len(lines) == 1 and text.endswith("mn")):
                    return "\r\n".join(lines[:-1])

    def test_every_script_in_both_directions(self):
        for name, steps in SCRIPTS.items():
            for number, (here, there) in enumerate(((self.master, self.slave),
                                                    (self.slave, self.master))):
                with self.subTest(name, direction=number):
                    key = f"{name.split()[0]}{number}"
                    for sent, answer, asked, told in steps:
                        self.check(here, sent, answer, key)
                        wait_in_sync(self.master, self.slave)
                        self.check(there, asked, told, key)
                        wait_in_sync(self.master, self.slave)
                    self.ask(here, "md KEY")
                    wait_in_sync(self.master, self.slave)

    def test_a_newcomer_is_filled_with_marks_and_cas_uniques(self):
        self.slave.kill_and_wait()
        for sent in ("ms stale 3 T100 E41\r\nold", "md stale I E42", "ms S0VZ 1 b E43\r\n1",
                     "ms told 4 T100\r\nkept", "mg told R1000", "mg made N100 E44"):
            self.ask(self.master, sent)
        self.slave.start(peer=self.master)
        wait_in_sync(self.master, self.slave)
        for asked, told in (("mg stale c v", r"VA 3 c42 X W\r\nold"),
                            ("mg KEY k c", "HD kS0VZ b c43"),
                            ("mg told v", r"VA 4 Z\r\nkept"),
                            ("mg made c s", "HD c44 s0 Z")):
            self.check(self.slave, asked, told, "")

    def check(self, node, sent, answer, key):
        sent = sent.replace("@", key)
        self.assertRegex(self.ask(node, sent), rf"\A(?:{answer.replace('@', key)})\Z",
                         f"{node.name} was asked {sent[:200]!r}")


if __name__ == "__main__":
    main()
