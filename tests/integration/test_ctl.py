"""memtandemctl: what it shows and does, and what its exit status says."""

import contextlib
import json
import os
import pty
import subprocess

import admin
import certificates
from harness import (HOST, PairTest, binary, die_with_parent, eventually, free_port, main,
                     wait_in_sync)

YES, NO, UNREACHABLE, USAGE = 0, 1, 2, 3


def ctl(*arguments, node=None, seconds=60, environment=None):
    """(exit status, standard output, standard error)."""
    socket = ["-s", str(node.control_path)] if node else []
    done = subprocess.run([binary("TANDEM_CTL", "memtandemctl"), *socket, *map(str, arguments)],
                          capture_output=True, text=True, timeout=seconds, check=False,
                          preexec_fn=die_with_parent, env={**os.environ, **(environment or {})})
    return done.returncode, done.stdout, done.stderr


def on_terminal(*arguments):
    """What it writes to a terminal."""
    reader, writer = pty.openpty()
    with subprocess.Popen([binary("TANDEM_CTL", "memtandemctl"), *map(str, arguments)],
                          stdout=writer, stderr=writer, preexec_fn=die_with_parent):
        os.close(writer)
        text = b""
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while part := os.read(reader, 4096):
                text += part
    os.close(reader)
    return text.decode()


class Pair(PairTest):
    def test_a_pair_is_shown_asked_and_steered(self):
        master = admin.configure(self.node("a")).start()
        slave = admin.configure(self.node("b")).start(peer=master)
        wait_in_sync(master, slave)
        code, text, _ = ctl("status", node=master)
        self.assertEqual(code, YES)
        self.assertIn("master, serving", text)
        self.assertIn("the peer has everything", text)
        code, text, _ = ctl("status", "--json", node=slave)
        self.assertEqual((code, json.loads(text)["role"]), (YES, "slave"))
        code, text, _ = ctl("status", "--watch", "--json", "-c", 2, "-n", 0.1, node=slave)
        self.assertEqual((code, len(text.splitlines())), (YES, 2))
        for question, at_master, at_slave in (("live", YES, YES), ("ready", YES, YES),
                                              ("primary", YES, NO), ("replica", NO, YES),
                                              ("in-sync", YES, YES), ("lag<2s", YES, YES)):
            self.assertEqual([ctl("check", question, "-q", node=n)[:2] for n in (master, slave)],
                             [(at_master, ""), (at_slave, "")], question)
        self.assertEqual(ctl("check", "sense", node=master)[0], USAGE)

        self.assertEqual(ctl("switchover", node=master), (YES, "done\n", ""))
        eventually(lambda: ctl("check", "primary", node=slave)[0] == YES, 5, "places are changed")
        self.assertEqual(ctl("demote", node=slave)[0], YES)
        eventually(lambda: ctl("check", "primary", node=master)[0] == YES, 5, "and back")
        self.assertEqual(ctl("drain", node=slave)[0], YES)
        self.assertEqual(ctl("check", "ready", node=slave)[0], NO)
        self.assertEqual(ctl("undrain", node=slave)[0], YES)
        code, text, _ = ctl("sync", "-t", 20, node=master)
        self.assertEqual(code, YES, text)
        self.assertIn("both nodes have the same data", text)
        self.assertEqual(ctl("audit", node=slave)[0], YES)
        code, text, _ = ctl("events", "-n", 5, node=slave)
        self.assertEqual((code, len(text.splitlines())), (YES, 5))
        events = [json.loads(line) for line in ctl("events", "--json", node=slave)[1].splitlines()]
        self.assertTrue(any(e["kind"] == "role" and "SLAVE -> MASTER" in e["text"] and e["reason"]
                            for e in events), events)

        self.over_http(master, slave)

        # Without the other node: refused is no, gone is unreachable.
        slave.kill_and_wait()
        eventually(lambda: ctl("check", "in-sync", node=master)[0] == NO, 5, "the link is gone")
        code, text, error = ctl("switchover", node=master)
        self.assertEqual((code, text), (NO, ""))
        self.assertTrue(error.startswith("memtandemctl: "), error)
        self.assertEqual(ctl("sync", "-t", 1, node=master)[0], NO)
        self.assertEqual(ctl("check", "live", node=slave)[0], UNREACHABLE)
        self.assertEqual(ctl("status", node=slave)[0], UNREACHABLE)

    def over_http(self, master, slave):
        """The same through the admin ports of a pair whose first is master; and so it is after."""
        def far(node, *arguments, token=False):
            token = ["--token-file", self.directory / "token"] if token else []
            return ctl("--url", f"http://{HOST}:{node.admin_port}", *token, *arguments)
        code, text, error = far(slave, "status")
        self.assertEqual(code, YES, error)
        self.assertIn("slave, serving", text)
        for question, at_master, at_slave in (("live", YES, YES), ("primary", YES, NO),
                                              ("replica", NO, YES), ("lag<2s", YES, YES),
                                              ("sense", USAGE, USAGE), ("lag<much", USAGE, USAGE),
                                              ("../status", USAGE, USAGE)):
            self.assertEqual([far(n, "check", question, "-q")[:2] for n in (master, slave)],
                             [(at_master, ""), (at_slave, "")], question)
        self.assertEqual(far(master, "events", "-n", 3)[1], ctl("events", "-n", 3, node=master)[1])
        code, text, error = far(master, "switchover")
        self.assertEqual((code, text), (NO, ""))
        self.assertIn("token", error)
        self.assertEqual(far(master, "switchover", token=True), (YES, "done\n", ""))
        eventually(lambda: far(slave, "check", "primary", "-q")[0] == YES, 5, "places are changed")
        self.assertEqual(far(slave, "demote", token=True)[0], YES)
        eventually(lambda: far(master, "check", "primary", "-q")[0] == YES, 5, "and back")
        code, text, error = far(master, "sync", "-t", 20, token=True)
        self.assertEqual(code, YES, error)
        self.assertRegex(text, r"(?m)^differing 0$")
        self.assertIn("both nodes have the same data", text)
        for word in ("on", "off"):
            self.assertEqual(far(master, "alone", word, token=True), (YES, "done\n", ""))
        # By the environment, which a command line outdoes.
        there = {"MEMTANDEM_URL": f"http://{HOST}:{slave.admin_port}/",
                 "MEMTANDEM_TOKEN_FILE": str(self.directory / "token")}
        self.assertEqual(ctl("check", "replica", "-q", environment=there)[0], YES)
        self.assertEqual(ctl("check", "replica", "-q", environment=there, node=master)[0], NO)
        self.assertEqual(ctl("audit", environment=there)[0], YES)

    def test_what_is_no_admin_port_and_whom_not_to_trust(self):
        authority = certificates.Authority(self.directory)
        authority.sign("admin")
        node = admin.configure(self.node("a"), admin=f"  tls_certificate: "
                               f"{authority.certificate('admin')}\n  tls_key: "
                               f"{authority.key('admin')}\n").start()
        url = f"https://{HOST}:{node.admin_port}"
        trusted = ("--ca-file", authority.certificate())
        self.assertEqual(ctl("--url", url, *trusted, "check", "primary", "-q"), (YES, "", ""))
        code, _, error = ctl("--url", url, *trusted, "--token-file", self.directory / "token",
                             "switchover")
        self.assertEqual(code, NO)
        self.assertIn("peer", error)
        for where, more, why in (
                (url, (), "its certificate is not accepted"),
                (url.replace(HOST, "localhost"), trusted, "its certificate is not accepted"),
                (url, ("--ca-file", self.directory / "token"), "no certificate can be read"),
                (url.replace("https", "http"), (), "closed the connection"),
                (f"http://{HOST}:{node.port}", (), "closed the connection"),
                (f"https://{HOST}:{node.port}", trusted, "TLS"),
                (f"http://{HOST}:{free_port()}", (), "Connection refused")):
            code, text, error = ctl("--url", where, *more, "status")
            self.assertEqual((code, text), (UNREACHABLE, ""), (where, error))
            self.assertIn(why, error)
        for wrong in (("--url", "ftp://h:1"), ("--url", "http://h"), ("--url", "http://h:1/status"),
                      ("--url", "http://h:1", "-s", "/x"),
                      ("--url", url, "--token-file", "/dev/null")):
            self.assertEqual(ctl(*wrong, "status")[:2], (USAGE, ""), wrong)

    def test_bench_verifies_and_top_and_tail_look_on(self):
        node = admin.configure(self.node("a")).start()
        server = f"{HOST}:{node.port}"
        with subprocess.Popen([binary("TANDEM_CTL", "memtandemctl"), "tail", "--server", server,
                               "-n", "1", "mutations"], stdout=subprocess.PIPE, text=True,
                              preexec_fn=die_with_parent) as tail:
            eventually(lambda: node.stats()["log_watchers"] == "1", 5, "it watches")
            code, text, error = ctl("bench", "--server", server, "--fill", "--verify", "-k", 500,
                                    "-c", 8, "-P", 3, "-t", 1, "--sizes", "1-2KiB", "-r", 0.8)
            self.assertEqual(code, YES, text + error)
            self.assertIn("hit ratio 100.0 %", text)
            self.assertIn("type=item_store", tail.communicate(timeout=20)[0])
        self.assertEqual(int(node.stats()["curr_items"]), 500)
        # A value that is not the key's is found.
        with node.client() as client:
            client.set("bench:0", b"x")
        code, text, _ = ctl("bench", "--server", server, "--verify", "-k", 1, "-c", 1, "-t", 0.1,
                            "-r", 1)
        self.assertEqual(code, NO, text)
        self.assertNotIn(" 0 wrong values", text)
        code, text, _ = ctl("top", "-c", 1, "-n", 0.1, node=node)
        self.assertEqual(code, YES)
        self.assertRegex(text, r"(?m)^get +\d")
        # On a terminal it tells how far it is while it runs.
        told = on_terminal("bench", "--server", server, "-k", 100, "-c", 2, "-t", 0.6)
        self.assertRegex(told, r"\r\x1b\[K\[=+>? *\] +\d+ % \S+ requests, \S+/s, \d+ s left")
        node.kill_and_wait()
        self.assertEqual(ctl("bench", "--server", server, "-t", 0.1)[0], UNREACHABLE)
        self.assertEqual(ctl("tail", "--server", server)[0], UNREACHABLE)


class Tools(PairTest):
    def test_wrong_usage(self):
        for arguments in ((), ("nonsense",), ("check",), ("status", "--nonsense"),
                          ("pool", "-f", "nginx", "a=h"), ("pool", "-f", "mcrouter", "no-name"),
                          ("pool", "-f", "mcrouter", "a=x", "a=y"), ("bench", "--sizes", "x"),
                          ("bench", "-r", "2"), ("completion", "csh"), ("config",),
                          ("alone", "maybe"), ("config", "check", "/nowhere.yaml")):
            code, text, error = ctl(*arguments)
            self.assertEqual((code, text), (USAGE, ""), arguments)
            self.assertTrue(error, arguments)
        self.assertEqual(ctl("--help")[0], YES)
        self.assertEqual(ctl("--version")[0], YES)

    def test_configurations_are_checked_printed_and_imported(self):
        good = self.directory / "good.yaml"
        good.write_text("cache:\n  memory: 128MiB\n")
        self.assertEqual(ctl("config", "check", good)[0], YES)
        self.assertIn("memory: 128MiB", ctl("config", "print", good)[1])
        bad = self.directory / "bad.yaml"
        bad.write_text("cache:\n  memry: 1\n")
        code, _, error = ctl("config", "check", bad)
        self.assertEqual(code, USAGE)
        self.assertIn(f"{bad}:2:3: ", error)
        debian = self.directory / "memcached.conf"
        debian.write_text("# memcached default config file\n-d\nlogfile /var/log/memcached.log\n"
                          "-m 200  # MB\n-p 11311\n-u memcache\n-l 127.0.0.1\n-l ::1\n")
        code, text, _ = ctl("config", "import", debian)
        self.assertEqual(code, YES)
        imported = self.directory / "imported.yaml"
        imported.write_text(text)
        self.assertEqual(ctl("config", "check", imported)[0], YES)
        for expected in ("memory: 200MiB", "port: 11311", 'addresses: ["127.0.0.1", "::1"]',
                         'user: "memcache"', "daemonize: true"):
            self.assertIn(expected, text)

    def test_pools(self):
        pairs = ("one=10.0.0.1,10.0.0.2:11311", "two=10.0.1.1")
        pool = json.loads(ctl("pool", "-f", "mcrouter", *pairs)[1])
        self.assertEqual(pool["pools"]["one-b"]["servers"], ["10.0.0.2:11311"])
        self.assertEqual([child if isinstance(child, str) else child["children"]
                          for child in pool["route"]["children"]],
                         [["PoolRoute|one-a", "PoolRoute|one-b"], "PoolRoute|two"])
        text = ctl("pool", "-f", "twemproxy", *pairs)[1]
        self.assertIn("auto_eject_hosts: false", text)
        self.assertIn("- 10.0.0.1:11211:1 one\n", text)
        self.assertIn("route_failover", ctl("pool", "-f", "routelib", pairs[0])[1])
        self.assertIn("--NUMBER-OF-REPLICAS=0", ctl("pool", "-f", "libmemcached", *pairs)[1])

    def offered(self, shell, *words):
        """What a shell offers after these words, by its script; None where it is not installed."""
        code, text, _ = ctl("completion", shell)
        self.assertEqual(code, YES)
        words = ["memtandemctl", *words, ""]
        listed = " ".join(map(repr, words))
        script = {
            "bash": f"{text}\nCOMP_WORDS=({listed})\nCOMP_CWORD={len(words) - 1}\n_memtandemctl\n"
                    'printf "%s\\n" "${COMPREPLY[@]}"\n',
            "zsh": "compadd() { print -l -- $@ }\n_files() { print -l files }\n"
                   f"words=({listed})\nCURRENT={len(words)}\n{text}",
            "fish": f"source '{self.directory}/fish'\ncomplete -C '{' '.join(words)}'\n"}[shell]
        (self.directory / shell).write_text(text if shell == "fish" else script)
        command = {"bash": ["bash", str(self.directory / shell)],
                   "zsh": ["zsh", "-f", str(self.directory / shell)],
                   "fish": ["fish", "--no-config", "-c", script]}[shell]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True,
                                  env={**os.environ, "HOME": str(self.directory)})
        except FileNotFoundError:
            print(f"\n  {shell} is not installed")
            return None
        self.assertEqual(done.stderr, "")
        return {line.split("\t")[0] for line in done.stdout.splitlines()}

    def test_completions_are_scripts_of_their_shells(self):
        for shell in ("bash", "zsh", "fish"):
            for words, expected in (((), {"status", "switchover", "bench"}),
                                    (("config",), {"check", "print", "import"}),
                                    (("-s", "/x", "check"), {"primary", "in-sync"})):
                offered = self.offered(shell, *words)
                if offered is not None:
                    self.assertLessEqual(expected, offered, (shell, words))


if __name__ == "__main__":
    main()
