"""TLS at the clients' port: handshakes, verification, reloading, and limits as without it."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile

from certificates import Authority
from client import Client, ConnectionLost
from harness import (AS_ROOT, HOST, SKIPPED, PairTest, binary, eventually, free_port, main)


class TlsClient(Client):
    """A client by way of TLS."""

    def __init__(self, port, context, timeout=5.0, session=None):
        super().__init__(HOST, port, timeout)
        raw = self.socket
        try:
            self.socket = context.wrap_socket(raw, server_hostname=HOST, session=session)
        except BaseException:
            raw.close()
            raise

    def common_name(self):
        subject = dict(pair[0] for pair in self.socket.getpeercert()["subject"])
        return subject["commonName"]


class Tls(PairTest):
    @classmethod
    def setUpClass(cls):
        cls.store = pathlib.Path(tempfile.mkdtemp(prefix="memtandem-tls-"))
        cls.addClassCleanup(shutil.rmtree, cls.store)
        cls.authority = Authority(cls.store)
        cls.stranger = Authority(cls.store, "stranger")
        for name in ("server", "renewed", "client"):
            cls.authority.sign(name)
        cls.stranger.sign("intruder")

    def setUp(self):
        super().setUp()
        self.certificate = self.directory / "server.pem"
        self.key = self.directory / "server.key"
        self.install("server")

    def install(self, name):
        """Puts a certificate where the nodes look for theirs."""
        shutil.copy(self.authority.certificate(name), self.certificate)
        shutil.copy(self.authority.key(name), self.key)

    def context(self, certificate=None, newest=None):
        """What a client trusts and shows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.authority.certificate())
        if newest:
            context.maximum_version = newest
        if certificate:
            issuer = self.stranger if certificate == "intruder" else self.authority
            context.load_cert_chain(issuer.certificate(certificate), issuer.key(certificate))
        return context

    def flags(self, *options):
        return ["-Z", "-o", f"ssl_chain_cert={self.certificate},ssl_key={self.key}",
                *[part for option in options for part in ("-o", option)]]

    def start(self, *options, flags=(), peer=None, port=None, context=None):
        """A node with TLS; the harness's own client does not speak it."""
        node = self.node(flags=[*self.flags(*options), *flags])
        node.start(peer=peer, wait=False)
        if port is None:
            port, context = node.port, context or self.context()

        def serves():  # an answer, for a client's handshake ends before the node's does
            with (TlsClient(port, context) if context else Client(HOST, port)) as client:
                return client.command("version")
        eventually(serves, 10, lambda: f"it serves: {node.log()}")
        return node

    def client(self, node, **options):
        return TlsClient(node.port, self.context(**options))

    def refused(self, port, context):
        """With TLS 1.3 a client learns of it only when it reads."""
        with self.assertRaises((ssl.SSLError, ConnectionLost, OSError)):
            with TlsClient(port, context) as client:
                client.command("version")

    # ---- traffic

    def test_requests_of_all_sizes(self):
        node = self.start()
        with self.client(node) as client:
            for size in (0, 1, 100, 4096, 16383, 16384, 16385, 100000, 1000000):
                value = os.urandom(size)
                self.assertEqual(client.set(f"k{size}", value), "STORED")
                self.assertEqual(client.get(f"k{size}"), value)
            client.send(b"get k100\r\nget k100000\r\nget k1\r\n" * 200)
            for _ in range(200):
                for size in (100, 100000, 1):
                    self.assertEqual(client.line(), f"VALUE k{size} 0 {size}")
                    client.exactly(size + 2)
                    self.assertEqual(client.line(), "END")
            self.assertEqual(client.command("version")[:8], "VERSION ")
            rows = client.stats()
            self.assertEqual((rows["ssl_handshake_errors"], rows["ssl_proto_errors"]), ("0", "0"))
            self.assertNotIn("ssl_new_sessions", rows)
            client.send(b"quit\r\n")
            self.assertTrue(client.closed())

    def test_a_byte_at_a_time(self):
        node = self.start()
        with self.client(node) as client:
            for byte in b"set k 0 0 5\r\nhello\r\nget k\r\n":
                client.send(bytes([byte]))
            self.assertEqual(client.line(), "STORED")
            self.assertEqual(client.line(), "VALUE k 0 5")
            self.assertEqual(client.exactly(7), b"hello\r\n")

    def test_a_record_larger_than_the_read_buffer_is_read_whole(self):
        node = self.start("ssl_wbuf_size=1")
        with self.client(node) as client:
            count = 5000  # far more than one read takes, in one write
            client.send(b"".join(b"set k%d 0 0 1\r\nx\r\n" % i for i in range(count)))
            for _ in range(count):
                self.assertEqual(client.line(), "STORED")
            self.assertEqual(client.stats("settings")["ssl_wbuf_size"], "1024")

    def test_the_settings_are_shown(self):
        node = self.start()
        with self.client(node) as client:
            rows = client.stats("settings")
        expected = {"ssl_enabled": "yes", "ssl_chain_cert": str(self.certificate),
                    "ssl_key": str(self.key), "ssl_verify_mode": "0", "ssl_keyformat": "1",
                    "ssl_ciphers": "NULL", "ssl_ca_cert": "NULL", "ssl_wbuf_size": "16384",
                    "ssl_session_cache": "no", "ssl_kernel_tls": "no",
                    "ssl_min_version": "tlsv1.2"}
        self.assertEqual({name: rows.get(name) for name in expected}, expected)

    def test_kernel_tls_where_there_is_any(self):
        node = self.start("ssl_kernel_tls")
        with self.client(node) as client:
            value = os.urandom(900000)
            self.assertEqual(client.set("k", value), "STORED")
            self.assertEqual(client.get("k"), value)

    def test_a_pair_replicates_behind_it(self):
        master = self.start()
        slave = self.start(peer=master)
        with self.client(master) as client:
            client.set("k", b"v")

        def arrived():
            with self.client(slave) as client:
                return client.get("k") == b"v"
        eventually(arrived, 10, "the slave has it")

    # ---- who gets in

    def test_plain_text_and_garbage_are_no_handshake(self):
        node = self.start()
        attempts = [b"version\r\n", b"\x16\x03\x01\xff\xff" + os.urandom(100), os.urandom(5000)]
        for bytes_sent in attempts:
            with node.client() as client:
                client.send(bytes_sent)
                with contextlib.suppress(OSError):  # it may be gone already
                    client.socket.shutdown(socket.SHUT_WR)
                with self.assertRaises(ConnectionLost):
                    while True:
                        client.exactly(1)  # an alert may come first
        with self.client(node) as client:
            self.assertEqual(client.stats()["ssl_handshake_errors"], str(len(attempts)))
            eventually(lambda: client.stats()["curr_connections"] == "1", 5, "they are gone")

    def test_garbage_after_the_handshake_is_a_protocol_error(self):
        node = self.start()
        with self.client(node) as client:
            client.command("version")
            with socket.socket(fileno=os.dup(client.socket.fileno())) as raw:
                raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
            with self.assertRaises((ConnectionLost, ssl.SSLError)):
                client.line()
        with self.client(node) as client:
            self.assertEqual(client.stats()["ssl_proto_errors"], "1")

    def test_a_client_certificate_is_required_where_that_is_said(self):
        context = self.context(certificate="client")
        node = self.start("ssl_verify_mode=2", f"ssl_ca_cert={self.authority.certificate()}",
                          context=context)
        with TlsClient(node.port, context) as client:
            self.assertEqual(client.set("k", b"v"), "STORED")
            self.assertEqual(client.stats("settings")["ssl_verify_mode"], "3")
        self.refused(node.port, self.context())
        self.refused(node.port, self.context(certificate="intruder"))

    def test_each_address_has_its_own_rule(self):
        plain, basic, strict = free_port(), free_port(), free_port()
        node = self.node(flags=[
            *self.flags(f"ssl_ca_cert={self.authority.certificate()}", "ssl_session_cache"),
            "-l", f"notls:{HOST}:{plain},btls:{HOST}:{basic},mtls:{HOST}:{strict}"])
        node.start(wait=False)
        eventually(lambda: Client(HOST, plain).close() or True, 10, node.log)
        with Client(HOST, plain) as client:
            self.assertEqual(client.set("k", b"v"), "STORED")
        with TlsClient(basic, self.context()) as client:
            self.assertEqual(client.get("k"), b"v")
        with TlsClient(strict, self.context(certificate="client")) as client:
            self.assertEqual(client.get("k"), b"v")
        self.refused(strict, self.context())
        # Nor does a session that was made without a certificate open the strict door.
        context = self.context(newest=ssl.TLSVersion.TLSv1_2)
        with TlsClient(basic, context) as client:
            client.command("version")
            session = client.socket.session
        with self.assertRaises((ssl.SSLError, ConnectionLost, OSError)):
            with TlsClient(strict, context, session=session) as client:
                client.command("version")

    def test_the_oldest_version_that_is_spoken(self):
        node = self.start("ssl_min_version=3")
        self.refused(node.port, self.context(newest=ssl.TLSVersion.TLSv1_2))
        with self.client(node) as client:
            self.assertEqual(client.socket.version(), "TLSv1.3")
        node = self.start("ssl_ciphers=ECDHE-ECDSA-AES256-GCM-SHA384")
        with self.client(node, newest=ssl.TLSVersion.TLSv1_2) as client:
            self.assertEqual(client.socket.cipher()[0], "ECDHE-ECDSA-AES256-GCM-SHA384")

    def test_sessions_are_resumed_only_with_the_cache(self):
        for options, reused in (((), False), (("ssl_session_cache",), True)):
            node = self.start(*options)
            context = self.context(newest=ssl.TLSVersion.TLSv1_2)
            with TlsClient(node.port, context) as client:
                before = client.stats().get("ssl_new_sessions")
                session = client.socket.session
            with TlsClient(node.port, context, session=session) as client:
                self.assertEqual(client.socket.session_reused, reused)
                self.assertEqual(client.stats().get("ssl_new_sessions"), before)

    # ---- files

    def renew(self, node, how):
        self.install("renewed")
        with self.client(node) as old:
            self.assertEqual(old.common_name(), "server")
            how(old)

            def renewed():
                with self.client(node) as new:
                    return new.common_name() == "renewed"
            eventually(renewed, 5, "a new one")
            self.assertEqual(old.set("k", b"v"), "STORED")  # goes on as it is
            self.assertLessEqual(int(old.stats()["time_since_server_cert_refresh"]), 5)

    def test_refresh_certs_loads_new_ones(self):
        node = self.start()
        self.renew(node, lambda old: self.assertEqual(old.command("refresh_certs"), "OK"))

    def test_hangup_loads_new_ones(self):
        node = self.start()
        self.renew(node, lambda _: node.process.signal(signal.SIGHUP))
        node.wait_log("TLS: the certificates are loaded again")

    def test_what_cannot_be_loaded_changes_nothing(self):
        node = self.start()
        shutil.copy(self.authority.certificate("renewed"), self.certificate)  # not of this key
        with self.client(node) as client:
            self.assertRegex(client.command("refresh_certs"), "^Error loading the key: .*mismatch")
            self.certificate.unlink()
            self.assertRegex(client.command("refresh_certs"),
                             "^Error loading the certificate chain: ")
            self.assertEqual(client.set("k", b"v"), "STORED")
        node.process.signal(signal.SIGHUP)
        node.wait_log("TLS: Error loading .*all stays as it was")
        with self.client(node) as client:
            self.assertEqual(client.common_name(), "server")

    def test_without_tls_there_is_nothing_to_refresh(self):
        node = self.node().start()
        with node.client() as client:
            self.assertEqual(client.command("refresh_certs"), "Error TLS not enabled")
            self.assertNotIn("ssl_handshake_errors", client.stats())
            self.assertEqual(client.stats("settings")["ssl_enabled"], "no")

    def test_a_key_in_der_and_a_key_beside_its_certificate(self):
        der = self.authority.der_key("server")
        node = self.start(f"ssl_key={der}", "ssl_keyformat=2")
        self.client(node).close()
        both = self.directory / "both.pem"
        both.write_text(self.certificate.read_text() + self.key.read_text())
        node = self.node(flags=["-Z", "-o", f"ssl_chain_cert={both}"])
        node.start(wait=False)
        eventually(lambda: self.client(node).close() or True, 10, node.log)

    def test_bad_files_stop_the_start(self):
        missing = self.directory / "missing.pem"
        for options, expected in (
                ([f"ssl_chain_cert={missing}"], f"certificate chain: {missing}"),
                ([f"ssl_key={missing}"], f"key: {missing}"),
                ([f"ssl_key={self.authority.key('client')}"], "mismatch"),
                ([f"ssl_ca_cert={missing}"], f"CA certificate: {missing}"),
                (["ssl_ciphers=NONESUCH"], "ciphers: NONESUCH")):
            done = subprocess.run(
                [binary(), *AS_ROOT, "-l", HOST, "-p", str(free_port()), "--replication-port",
                 str(free_port()), *self.flags(*options)],
                capture_output=True, text=True, timeout=20, check=False)
            self.assertEqual(done.returncode, 71, done.stderr)
            self.assertRegex(done.stderr, re.escape(expected))

    # ---- limits

    def test_a_handshake_that_takes_too_long_is_ended(self):
        config = self.directory / "c.yaml"
        config.write_text("tls:\n  handshake_timeout: 300ms\n")
        node = self.start(flags=["--config", str(config)])
        with node.client() as silent, node.client() as slow:
            slow.send(b"\x16\x03\x01")
            self.assertTrue(silent.closed())
            self.assertTrue(slow.closed())
        with self.client(node) as client:
            self.assertEqual(client.stats()["ssl_handshake_errors"], "2")

    def test_idle_and_deaf_clients_are_closed(self):
        node = self.start("write_timeout=300ms")
        with self.client(node) as client:
            client.set("large", b"x" * 1000000)
            deaf = self.client(node)
            deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.send(b"get large\r\n" * 100)
            eventually(lambda: client.stats()["write_kicks"] == "1", 5, "it is closed")
            deaf.close()
        node = self.start("idle_timeout=300ms")
        with self.client(node) as client:
            client.command("version")
            self.assertTrue(client.closed())

    def test_nothing_is_left_of_many_connections(self):
        node = self.start()
        descriptors = node.process.descriptors()
        for _ in range(50):
            self.client(node).close()
            with node.client() as client:
                client.send(b"\x16")
        eventually(lambda: node.process.descriptors() <= descriptors, 10, "all are closed")


if __name__ == "__main__":
    if shutil.which("openssl") is None:
        print("skipped: there is no openssl(1) to make certificates with")
        sys.exit(SKIPPED)
    main()
