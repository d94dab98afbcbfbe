"""prometheus/memcached_exporter's scrape, by the rules of its source.

It sends `stats`, `stats slabs`, `stats items` and `stats settings` on one connection through
grobie/gomemcache, which splits every line at spaces and names at ':', and then reads certain names
as numbers. One that is missing is left out, one that cannot be read fails the scrape.
"""

from harness import PairTest, main

OPERATIONS = ("get", "delete", "incr", "decr", "cas", "touch")

GENERAL = """uptime time cas_badval cmd_flush bytes limit_maxbytes curr_items total_items bytes_read
bytes_written curr_connections total_connections rejected_connections conn_yields
listen_disabled_num evictions reclaimed store_too_large store_no_memory lru_crawler_starts
direct_reclaims crawler_items_checked crawler_reclaimed accepting_conns""".split()

# Those that it takes if they are there.
OPTIONAL = "moves_to_cold moves_to_warm moves_within_lru total_malloced".split()

ITEMS = """number age crawler_reclaimed evicted evicted_nonzero evicted_time evicted_unfetched
expired_unfetched outofmemory reclaimed tailrepairs mem_requested""".split()

SLABS = """chunk_size chunks_per_page total_pages total_chunks used_chunks free_chunks
free_chunks_end mem_requested""".split()

SETTINGS = """maxconns lru_crawler_sleep lru_crawler_tocrawl hot_lru_pct warm_lru_pct
hot_max_factor warm_max_factor""".split()


class ScrapeFailed(Exception):
    """The exporter would report memcached_up 0."""


def number(text):
    """Go's strconv.ParseFloat takes what float() takes here, but no surrounding space."""
    try:
        return float(text)
    except ValueError as error:
        raise ScrapeFailed(f"{text!r} is not a number") from error


def timeval(text):
    parts = text.split(".")
    if len(parts) != 2:
        raise ScrapeFailed(f"{text!r} is not a time")
    return number(parts[0]) + number(parts[1]) / 1e6


def boolean(text):
    if text not in ("yes", "no"):
        raise ScrapeFailed(f"{text!r} is neither yes nor no")
    return float(text == "yes")


class Scrape:
    """What gomemcache gathers: names without ':', `N:name` and `items:N:name`."""

    def __init__(self, client):
        self.general, self.slabs, self.items, self.settings = {}, {}, {}, {}
        for command in ("stats", "stats slabs", "stats items"):
            for words in self.lines(client, command):
                if len(words) != 3:
                    raise ScrapeFailed(f"{command}: {words} would be passed over")
                self.put(words[1].split(":"), words[2])
        for words in self.lines(client, "stats settings"):
            if len(words) != 3:
                raise ScrapeFailed(f"stats settings: unexpected line {words}")
            self.settings[words[1]] = words[2]

    @staticmethod
    def lines(client, command):
        line = client.command(command)
        while line != "END":
            words = line.split(" ")
            if words[0] != "STAT":  # it would read on for ever
                raise ScrapeFailed(f"{command}: {line!r}")
            yield words
            line = client.line()

    def put(self, names, value):
        if len(names) == 1:
            self.general[names[0]] = value
        elif len(names) == 2:
            self.slabs.setdefault(self.slab(names[0]), {})[names[1]] = value
        elif len(names) == 3:
            self.items.setdefault(self.slab(names[1]), {})[names[2]] = value
        else:
            raise ScrapeFailed(f"{':'.join(names)} would be passed over")

    @staticmethod
    def slab(text):
        try:
            return int(text)
        except ValueError as error:
            raise ScrapeFailed(f"{text!r} is no slab class") from error


def sets_without_cas(rows, *cas):
    """memcached counts cas among cmd_set; the exporter takes them off again."""
    for name in ("cmd_set", *cas):
        if name not in rows:
            raise ScrapeFailed(f"{name} is missing, which is an error")
    return number(rows["cmd_set"]) - sum(number(rows[name]) for name in cas)


def scrape(client):
    """The metrics by name, and by (name, slab class)."""
    got = Scrape(client)
    metrics = {}

    def take(rows, names, *where):
        for name in names:
            if name not in rows:
                raise ScrapeFailed(f"{name} is missing, the metric would be too")
            metrics[(name, *where) if where else name] = number(rows[name])

    commands = [f"{each}_{outcome}" for each in OPERATIONS for outcome in ("hits", "misses")]
    take(got.general, GENERAL + commands)
    take(got.general, [name for name in OPTIONAL if name in got.general])
    metrics["set"] = sets_without_cas(got.general, "cas_misses", "cas_hits", "cas_badval")
    for name in ("rusage_user", "rusage_system"):
        metrics[name] = timeval(got.general[name])
    for slab, rows in got.items.items():
        take(rows, ITEMS, slab)
    for slab, rows in got.slabs.items():
        take(rows, SLABS + [f"{each}_hits" for each in OPERATIONS] + ["cas_badval"], slab)
        metrics["set", slab] = sets_without_cas(rows, "cas_hits", "cas_badval")
    take(got.settings, SETTINGS)
    for name in ("lru_crawler", "lru_maintainer_thread"):
        metrics[name] = boolean(got.settings[name])
    return metrics


class Exporter(PairTest):
    def test_an_empty_node_is_scraped(self):
        node = self.node().start()
        with node.client() as client:
            self.assertEqual(scrape(client)["curr_items"], 0)

    def test_a_used_pair_is_scraped_and_the_figures_are_right(self):
        for node in self.pair():
            with self.subTest(node=node.name), node.client() as client:
                before = scrape(client)
                self.use(client)
                after = scrape(client)
                grown = {name: after[name] - before.get(name, 0) for name in after}
                for name, growth in {"get_hits": 1, "get_misses": 1, "set": 5, "cas_hits": 1,
                                     "cas_badval": 1, "cas_misses": 1, "delete_hits": 1,
                                     "incr_hits": 1, "decr_misses": 1, "touch_hits": 1,
                                     "cmd_flush": 1}.items():
                    self.assertEqual(grown[name], growth, name)
                slabs = {name[1] for name in after if isinstance(name, tuple)}
                self.assertLessEqual({1, 2, 3}, slabs)
                self.assertEqual(after["set"], sum(after["set", slab] - (
                    after["cas_misses"] if slab == 1 else 0) for slab in slabs
                    if ("set", slab) in after))
                self.assertEqual(after["curr_items"],
                                 sum(after["number", slab] for slab in slabs
                                     if ("number", slab) in after))

    @staticmethod
    def use(client):
        client.command("flush_all")
        for key, size in (("a", 1), ("b", 2000), ("c", 20000), ("d", 10)):
            client.set(key, b"1" * size)
        cas = client.gets("a")["a"][2]
        client.store("cas", "a", b"2", cas=cas)
        client.store("cas", "a", b"3", cas=cas)
        client.store("cas", "none", b"3", cas=cas)
        client.set("e", b"x")
        client.command("incr a 1")
        client.command("decr none 1")
        client.command("touch b 100")
        client.command("delete d")
        client.get("none")

    def test_a_scrape_while_the_crawler_is_off(self):
        node = self.node().start()
        with node.client() as client:
            client.command("lru_crawler disable")
            self.assertEqual(scrape(client)["lru_crawler"], 0)

    def test_the_rules_have_teeth(self):
        class Answers:
            """A client whose answers are given."""

            def __init__(self, *lines):
                self.left = list(lines)

            def command(self, _):
                return self.line()

            def line(self):
                return self.left.pop(0)

        for lines in (["ERROR"], ["STAT a b c", "END"], ["STAT a:b 1", "END"],
                      ["STAT a:b:c:d 1", "END"], ["STAT rusage_user 1", "END"] + ["END"] * 3):
            with self.assertRaises(ScrapeFailed, msg=lines):
                scrape(Answers(*lines))
        for text in ("1.2.3", "1", "a.b"):
            self.assertRaises(ScrapeFailed, timeval, text)
        self.assertEqual(timeval("1.234567"), 1.234567)


if __name__ == "__main__":
    main()
