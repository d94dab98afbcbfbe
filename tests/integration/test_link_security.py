"""The link's shared secret and its TLS: who gets in, who does not and is told why, and that the
real peer still does; files read anew while the link is up."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from certificates import Authority
from fault_proxy import FaultProxy
from harness import (HOST, MEBIBYTE, SLOWDOWN, PairTest, differences, eventually, main,
                     wait_in_sync)

REFUSED_WITHIN = 2
OLD, NEW, OTHER = "the-old-secret-of-both", "the-new-secret-of-both", "a-secret-of-a-stranger"
KEYS = [f"key{i}" for i in range(300)]
WRONG_PROOF = "the proof is wrong"
ONE_SIDE = "only one of the nodes has a shared secret"


class LinkTest(PairTest):
    def configured(self, name, **keys):
        """A node with these keys of `replication`."""
        path = self.directory / f"{name}.yaml"
        path.write_text("replication:\n" + "".join(
            f"  {key}: {value}\n" for key, value in {"cluster": "c", **keys}.items()))
        return self.node(name, flags=["--config", str(path)])

    def secret(self, name, *secrets):
        """A file with these secrets, for its owner only."""
        path = self.directory / f"{name}.secret"
        path.touch(mode=0o600)
        path.write_text("".join(f"{one}\n" for one in secrets))
        return path

    def assert_refused(self, master, bad, master_says, bad_says):
        """`bad` dials `master`; both say why not, in time, and it gets nothing."""
        master.mark()
        begin = time.monotonic()
        bad.start(peer=master, wait=False)
        try:
            master.wait_log(master_says, REFUSED_WITHIN)
            bad.wait_log(bad_says, REFUSED_WITHIN)
        finally:
            bad.kill_and_wait()
        took = time.monotonic() - begin
        print(f"\n  refused after {took * 1000:.0f} ms: {bad.name}")
        self.assertNotIn("replication: connect (", bad.log())
        self.assertNotIn("replication: accept (", master.log())

    def assert_replicates(self, master, slave, size=100):
        with master.client() as client:
            replies = client.set_many({key: os.urandom(size) for key in KEYS})
        self.assertEqual(set(replies), {"STORED"})
        wait_in_sync(master, slave)
        self.assertEqual(differences(master, slave, KEYS), [])

    def reload(self, node, pattern):
        node.mark()
        node.process.signal(signal.SIGHUP)
        node.wait_log(pattern)

    def reconnects(self, proxy, master, slave):
        """The link is cut and comes back by a new handshake."""
        before = int(master.replication()["connects"])
        proxy.cut()
        eventually(lambda: int(master.replication()["connects"]) > before, 10,
                   lambda: f"it is back; {master.log()}\n{slave.log()}")
        wait_in_sync(master, slave)

    def dial(self, node, data=b""):
        connection = socket.create_connection((HOST, node.link_port), 5 * SLOWDOWN)
        self.addCleanup(connection.close)
        with contextlib.suppress(OSError):
            connection.sendall(data)
        return connection

    def assert_closed(self, connection):
        """Within REFUSED_WITHIN, whatever is said before that."""
        deadline = time.monotonic() + REFUSED_WITHIN * SLOWDOWN
        with contextlib.suppress(ConnectionResetError, ssl.SSLError):
            while True:
                connection.settimeout(max(0.01, deadline - time.monotonic()))
                if not connection.recv(65536):
                    return

    def crowd(self, node, count=1000, host=HOST):
        """So many connections that say nothing."""
        held = []
        for _ in range(count):
            connection = socket.socket()
            self.addCleanup(connection.close)
            connection.bind((host, 0))
            connection.setblocking(False)
            connection.connect_ex((HOST, node.link_port))
            held.append(connection)
        return held

    @contextlib.contextmanager
    def crowding(self, node):
        """They come anew all the time, from another address than the peer."""
        over = threading.Event()

        def come():
            before = []
            while not over.wait(0.01):
                here = self.crowd(node, 20, "127.0.0.2")
                for connection in before:
                    connection.close()
                before = here
        crowd = threading.Thread(target=come)
        crowd.start()
        try:
            yield
        finally:
            over.set()
            crowd.join()


class Secret(LinkTest):
    def test_who_gets_in(self):
        secret = self.secret("s", OLD)
        master = self.configured("master", secret_file=secret).start()
        for name, keys, why in (
                ("wrong", {"secret_file": self.secret("wrong", OTHER)}, WRONG_PROOF),
                ("without", {}, ONE_SIDE)):
            self.assert_refused(master, self.configured(name, **keys), why, why)
        real = self.configured("real", secret_file=secret).start(peer=master)
        wait_in_sync(master, real)
        self.assert_replicates(master, real)
        rows = master.replication()
        self.assertEqual(rows["link_security"], "secret")
        self.assertGreaterEqual(int(rows["handshakes_refused"]), 2)
        self.assertNotIn(OLD, master.log(whole=True) + real.log(whole=True))

    def test_a_secret_that_the_other_has_not(self):
        master = self.configured("master").start()
        bad = self.configured("with", secret_file=self.secret("s", OLD))
        self.assert_refused(master, bad, ONE_SIDE, ONE_SIDE)
        self.assertEqual(master.replication()["link_security"], "none")

    def test_rotation_while_the_link_is_up(self):
        files = {name: self.secret(name, OLD) for name in "ab"}
        a = self.configured("a", secret_file=files["a"]).start()
        proxy = FaultProxy(a.link_port)
        self.addCleanup(proxy.close)
        b = self.configured("b", secret_file=files["b"], takeover_grace="2s").start(peer=proxy.port)
        wait_in_sync(a, b)
        for step in ((OLD, NEW), (NEW, OLD), (NEW,)):
            for node in (a, b):
                connects = node.replication()["connects"]
                self.secret(node.name, *step)
                self.reload(node, f"loaded again, {len(step)} of at most 4")
                rows = node.replication()
                self.assertEqual((rows["link"], rows["connects"]), ("up", connects))
                self.reconnects(proxy, a, b)
        self.assert_replicates(a, b)
        # What cannot be read changes nothing.
        files["a"].write_text("short\n")
        self.reload(a, "line 1: a secret has 16..256 bytes.*all stays as it was")
        files["a"].unlink()
        self.reload(a, "No such file.*all stays as it was")
        self.reconnects(proxy, a, b)
        old = self.configured("old", secret_file=self.secret("old", OLD))
        self.assert_refused(a, old, WRONG_PROOF, WRONG_PROOF)

    def test_files(self):
        open_file = self.secret("open", OLD)
        open_file.chmod(0o644)
        node = self.configured("open", secret_file=open_file).start()
        node.wait_log("every user of this host can read or write it")
        for text, why in (("", "it holds no secret"), ("short", "line 1: a secret has")):
            bad = self.secret("bad", text) if text else self.secret("bad")
            started = subprocess.run(
                self.configured("bad", secret_file=bad).arguments(), capture_output=True,
                text=True, timeout=20, check=False)
            self.assertEqual(started.returncode, 71, started.stderr)
            self.assertIn(why, started.stderr)
        text = "replication: {peer: 10.1.2.3}\n"
        path = self.directory / "far.yaml"
        path.write_text(text)
        done = subprocess.run([*node.arguments()[:1], "--config", str(path), "--check-config"],
                              capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 78, done.stderr)
        path.write_text(text.replace("}", f", secret_file: {open_file}}}"))
        done = subprocess.run([*node.arguments()[:1], "--config", str(path), "--check-config"],
                              capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_a_handshake_overheard_cut_or_damaged(self):
        secret = self.secret("s", OLD)
        master = self.configured("master", secret_file=secret).start()
        overheard = b""
        with socket.create_server((HOST, 0)) as listener:
            listener.settimeout(5 * SLOWDOWN)
            caller = self.configured("caller", secret_file=secret)
            caller.start(peer=listener.getsockname()[1], wait=False)
            theirs, _ = listener.accept()
            with theirs, self.dial(master) as ours:
                # The master's words to the caller, and the caller's to the master: a while.
                for one in (theirs, ours):
                    one.setblocking(False)
                deadline = time.monotonic() + 0.5 * SLOWDOWN
                while time.monotonic() < deadline:
                    with contextlib.suppress(BlockingIOError):
                        theirs.sendall(ours.recv(65536))
                    with contextlib.suppress(BlockingIOError):
                        said = theirs.recv(65536)
                        overheard += said
                        ours.sendall(said)
                    if master.replication()["link"] == "up" and len(overheard) > 300:
                        break
            caller.kill_and_wait()
        self.assertGreater(len(overheard), 200)
        master.mark()
        for connection in [self.dial(master, overheard), self.dial(master, overheard[:150]),
                           self.dial(master, overheard[:100] + overheard[101:])]:
            self.assert_closed(connection)
        master.wait_log(WRONG_PROOF)
        self.assertNotIn("replication: accept (", master.log())
        real = self.configured("real", secret_file=secret).start(peer=master)
        wait_in_sync(master, real)
        self.assert_replicates(master, real)

    def test_flipped_bits_in_handshakes(self):
        secret = self.secret("s", OLD)
        master = self.configured("master", secret_file=secret).start()
        proxy = FaultProxy(master.link_port)
        self.addCleanup(proxy.close)
        slave = self.configured("slave", secret_file=secret, takeover_grace="2s").start(
            peer=proxy.port)
        wait_in_sync(master, slave)
        for turn in range(6):
            proxy.bytes_per_read = 1 if turn % 2 else 65536
            proxy.cut()
            proxy.flip_one = True
            eventually(lambda: not proxy.flip_one, 5, "a bit is flipped")
            proxy.bytes_per_read = 65536
            wait_in_sync(master, slave)
        self.assert_replicates(master, slave)

    def test_a_thousand_half_open_handshakes(self):
        secret = self.secret("s", OLD)
        master = self.configured("master", secret_file=secret).start()
        before = master.process.rss_bytes()
        self.crowd(master)
        real = self.configured("real", secret_file=secret)
        begin = time.monotonic()
        with self.crowding(master):
            real.start(peer=master)
            wait_in_sync(master, real)
            print(f"\n  in sync {time.monotonic() - begin:.2f} s after its start, among 1000 and "
                  "those that keep coming")
        self.assertLess(master.process.rss_bytes() - before, 16 * MEBIBYTE)
        eventually(lambda: master.process.descriptors() < 100, 5, "they are gone")


class Tls(LinkTest):
    @classmethod
    def setUpClass(cls):
        cls.store = pathlib.Path(tempfile.mkdtemp(prefix="memtandem-link-"))
        cls.addClassCleanup(shutil.rmtree, cls.store)
        cls.authority = Authority(cls.store)
        cls.stranger = Authority(cls.store, "stranger")
        for name in ("node-a", "node-b", "renewed", "other"):
            cls.authority.sign(name)
        for name in ("node-a", "node-b"):
            cls.authority.sign("expired-" + name, name, days=-1)
        cls.stranger.sign("intruder")

    def keys(self, certificate, ca=None, **more):
        """The keys of a node that shows this certificate."""
        return {"tls_certificate": self.authority.certificate(certificate),
                "tls_key": self.authority.key(certificate),
                "tls_ca": (ca or self.authority).certificate(), **more}

    def context(self, certificate=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.authority.certificate())
        if certificate:
            context.load_cert_chain(self.authority.certificate(certificate),
                                    self.authority.key(certificate))
        return context

    def test_a_pair_replicates_through_it(self):
        secret = self.secret("s", OLD)
        a = self.configured("a", **self.keys("node-a", secret_file=secret)).start()
        b = self.configured("b", **self.keys("node-b", tls_peer_name=HOST, secret_file=secret))
        with a.client() as client:
            for size in (1, 5000, 100_000, 1_000_000):
                self.assertEqual(client.set(f"large{size}", os.urandom(size)), "STORED")
        b.start(peer=a)
        wait_in_sync(a, b)
        self.assert_replicates(a, b)
        self.assert_replicates(b, a, 20_000)
        self.assertEqual(differences(a, b, [f"large{n}" for n in (1, 5000, 100_000, 1_000_000)]),
                         [])
        self.assertEqual(a.replication()["link_security"], "secret+tls")
        a.kill_and_wait()
        b.wait_role("MASTER")

    def test_who_gets_in(self):
        master = self.configured("master", **self.keys("node-a", tls_peer_name="node-b")).start()
        refused = "its certificate is refused: "
        for name, keys, master_says, bad_says in (
                ("wrong-ca", self.keys("intruder", self.authority), refused + "unable to get",
                 "it refuses us: .*unknown ca"),
                ("expired", self.keys("expired-node-b"), refused + "certificate has expired",
                 "it refuses us: .*certificate expired"),
                ("wrong-name", self.keys("other"), refused + "hostname mismatch",
                 "it refuses us: .*"),
                ("unbelieving", self.keys("node-b", self.stranger),
                 "it refuses us: .*unknown ca", refused),
                ("plain", {}, "TLS: it does not speak TLS", "it speaks TLS, this node does not")):
            with self.subTest(name):
                self.assert_refused(master, self.configured(name, **keys), master_says, bad_says)
        # No certificate at all, an old version, and a good certificate with nothing behind it.
        for context in (self.context(), self.context("node-b")):
            old = context.maximum_version
            for newest in (ssl.TLSVersion.TLSv1_2, old):
                context.maximum_version = newest
                with self.dial(master) as raw, contextlib.suppress(ssl.SSLError, OSError):
                    with context.wrap_socket(raw) as wrapped:
                        self.assert_closed(wrapped)
        master.wait_log("it shows no certificate")
        master.wait_log("TLS: unsupported protocol")
        real = self.configured("real", **self.keys("node-b")).start(peer=master)
        wait_in_sync(master, real)
        self.assert_replicates(master, real)
        self.assertEqual(master.replication()["link_security"], "tls")

    def test_a_dialler_checks_whom_it_reached(self):
        for name, keys, why in (("false", self.keys("intruder"), "unable to get"),
                                ("late", self.keys("expired-node-a"), "certificate has expired"),
                                ("renamed", self.keys("other"), "hostname mismatch")):
            master = self.configured(name, **keys).start()
            caller = self.configured("caller" + name, **self.keys("node-b", tls_peer_name="node-a"))
            self.assert_refused(master, caller, "it refuses us: ",
                                "its certificate is refused: " + why)
            master.kill_and_wait()
        master = self.configured("plain").start()
        caller = self.configured("caller", **self.keys("node-b"))
        self.assert_refused(master, caller, "it speaks TLS, this node does not",
                            "it does not speak TLS")

    def test_rotation_while_the_link_is_up(self):
        own = {"tls_certificate": self.directory / "a.pem", "tls_key": self.directory / "a.key"}

        def install(name):
            shutil.copy(self.authority.certificate(name), own["tls_certificate"])
            shutil.copy(self.authority.key(name), own["tls_key"])
        install("node-a")
        a = self.configured("a", **{**self.keys("node-a"), **own}).start()
        proxy = FaultProxy(a.link_port)
        self.addCleanup(proxy.close)
        b = self.configured("b", **self.keys("node-b", takeover_grace="2s")).start(peer=proxy.port)
        wait_in_sync(a, b)

        def shown():
            with self.dial(a) as raw, self.context("node-b").wrap_socket(raw) as wrapped:
                return dict(pair[0] for pair in wrapped.getpeercert()["subject"])["commonName"]
        self.assertEqual(shown(), "node-a")
        connects = a.replication()["connects"]
        install("renewed")
        self.reload(a, "replication: TLS: the certificates are loaded again")
        self.assertEqual(shown(), "renewed")
        self.assertEqual(a.replication()["connects"], connects)
        own["tls_key"].write_text("nonsense")
        self.reload(a, "replication: .*Error loading the key: .*all stays as it was")
        self.assertEqual(shown(), "renewed")
        self.reconnects(proxy, a, b)
        self.assert_replicates(a, b)

    def test_damage_on_the_way(self):
        a = self.configured("a", **self.keys("node-a")).start()
        proxy = FaultProxy(a.link_port)
        self.addCleanup(proxy.close)
        b = self.configured("b", **self.keys("node-b", takeover_grace="2s")).start(peer=proxy.port)
        wait_in_sync(a, b)
        for turn in range(4):  # in the handshake, and in what follows
            if turn % 2 == 0:
                proxy.cut()
            proxy.flip_one = True
            eventually(lambda: not proxy.flip_one, 5, "a bit is flipped")
            wait_in_sync(a, b)
        proxy.bytes_per_read = 100
        self.assert_replicates(a, b)

    def test_a_thousand_half_open_handshakes(self):
        master = self.configured("master", **self.keys("node-a")).start()
        before = master.process.rss_bytes()
        self.crowd(master)
        hello = ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            self.context().wrap_bio(ssl.MemoryBIO(), hello).do_handshake()
        begun = hello.read()
        for _ in range(20):  # these have begun
            self.dial(master, begun)
        real = self.configured("real", **self.keys("node-b"))
        begin = time.monotonic()
        real.start(peer=master)
        wait_in_sync(master, real)
        print(f"\n  in sync {time.monotonic() - begin:.2f} s after its start, among 1020")
        self.assertLess(master.process.rss_bytes() - before, 24 * MEBIBYTE)
        eventually(lambda: master.process.descriptors() < 100, 5, "they are gone")


if __name__ == "__main__":
    main()
