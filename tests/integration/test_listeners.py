"""Where clients connect: UNIX sockets, several addresses, and commands about the process."""

import os
import pwd
import socket
import stat
import subprocess
import unittest

from client import Client, ConnectionLost
from harness import (AS_ROOT, HOST, PairTest, binary, die_with_parent, eventually, free_port, main)

EX_OSERR = 71


def has_ipv6():
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


class UnixClient(Client):
    """A client by way of a UNIX socket."""

    def __init__(self, path, timeout=5.0):  # pylint: disable=super-init-not-called
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self._buffer = bytearray()
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise


class Listeners(PairTest):
    def daemon(self, *flags):
        """A process of its own making: the harness's nodes are reached at one TCP address."""
        log = open(self.directory / "daemon.log", "ab")  # pylint: disable=consider-using-with
        self.addCleanup(log.close)
        child = subprocess.Popen([binary(), *([] if "-u" in flags else AS_ROOT), "-m", "32", "-v", "--replication-port",
                                  str(free_port()), "--replication-listen", HOST, *flags],
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 cwd=self.directory, preexec_fn=die_with_parent)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child

    def log(self):
        return (self.directory / "daemon.log").read_text()

    def reach(self, make):
        return eventually(make, 10, lambda: f"a client gets in; the log:\n{self.log()}")

    def end(self, child):
        child.terminate()
        self.assertEqual(child.wait(10), 0, self.log())

    # ---- UNIX sockets

    def test_a_unix_socket_instead_of_tcp(self):
        path, port = self.directory / "m.sock", free_port()
        child = self.daemon("-s", str(path), "-p", str(port), "-l", HOST, "-a", "750")
        with self.reach(lambda: UnixClient(path)) as client:
            self.assertEqual(client.set("k", b"v"), "STORED")
            self.assertEqual(client.get("k"), b"v")
            rows = client.stats("settings")
            self.assertEqual((rows["domain_socket"], rows["umask"], rows["tcpport"]),
                             (str(path), "750", "0"))
            rows = client.stats("conns")
            own = next(name[:-len(":state")] for name, value in rows.items() if value == "conn_parse_cmd")
            door = next(name[:-len(":state")] for name, value in rows.items() if value == "conn_listening")
            self.assertEqual({rows[f"{own}:addr"], rows[f"{own}:listen_addr"],
                              rows[f"{door}:addr"]}, {f"unix:{path}"})
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o750)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection((HOST, port))
        self.end(child)
        self.assertFalse(path.exists())

    def test_the_umask_does_not_narrow_the_mask(self):
        path = self.directory / "m.sock"
        before = os.umask(0o077)
        try:
            self.daemon("-s", str(path), "-a", "777")
        finally:
            os.umask(before)
        self.reach(lambda: UnixClient(path)).close()
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o777)

    def test_a_socket_left_behind_is_replaced(self):
        path = self.directory / "m.sock"
        first = self.daemon("-s", str(path))
        self.reach(lambda: UnixClient(path)).close()
        first.kill()
        first.wait()
        self.assertTrue(path.exists())
        second = self.daemon("-s", str(path))
        with self.reach(lambda: UnixClient(path)) as client:
            self.assertEqual(client.stats()["pid"], str(second.pid))

    def test_a_socket_in_use_and_a_plain_file_are_left_alone(self):
        path, plain = self.directory / "m.sock", self.directory / "plain"
        plain.write_text("precious")
        self.daemon("-s", str(path))
        self.reach(lambda: UnixClient(path)).close()
        for taken in (path, plain):
            second = self.daemon("-s", str(taken))
            self.assertEqual(second.wait(10), EX_OSERR)
            self.assertIn(f"UNIX socket {taken}: Address already in use", self.log())
        self.assertEqual(plain.read_text(), "precious")
        UnixClient(path).close()

    @unittest.skipIf(os.geteuid() != 0, "only root becomes somebody else")
    def test_the_socket_is_the_users_that_the_daemon_becomes(self):
        nobody = pwd.getpwnam("nobody")
        self.directory.chmod(0o755)
        place = self.directory / "run"
        place.mkdir()
        os.chown(place, nobody.pw_uid, nobody.pw_gid)
        path = place / "m.sock"
        child = self.daemon("-s", str(path), "-u", "nobody")
        self.reach(lambda: UnixClient(path)).close()
        self.assertEqual((path.stat().st_uid, path.stat().st_gid), (nobody.pw_uid, nobody.pw_gid))
        self.end(child)
        self.assertFalse(path.exists())

    def test_yaml_has_both_at_once(self):
        path, port, config = self.directory / "m.sock", free_port(), self.directory / "c.yaml"
        config.write_text(f"listen:\n  addresses: ['{HOST}']\n  port: {port}\n"
                          f"  unix_socket: m.sock\n  unix_mask: 0600\n")
        self.daemon("--config", str(config))
        with self.reach(lambda: UnixClient(path)) as one, Client(HOST, port) as other:
            self.assertEqual(one.set("k", b"v"), "STORED")
            self.assertEqual(other.get("k"), b"v")

    def test_a_slave_refuses_on_its_socket_until_it_is_in_sync(self):
        master = self.node("a").start()
        path = self.directory / "m.sock"
        slave = self.node("b", flags=["-s", str(path)])
        slave.start(peer=master, wait=False)
        with self.reach(lambda: UnixClient(path)) as client:
            self.assertEqual(client.stats("replication")["role"], "SLAVE")
        slave.terminate()
        self.assertFalse(path.exists())

    # ---- addresses

    def test_several_addresses_each_with_a_port(self):
        common, own = free_port(), free_port()
        self.daemon("-p", str(common), "-l", f"{HOST},127.0.0.2:{own}", "-l", "127.0.0.3")
        for host, port in ((HOST, common), ("127.0.0.2", own), ("127.0.0.3", common)):
            with self.reach(lambda at=(host, port): Client(*at)) as client:
                self.assertTrue(client.command("version").startswith("VERSION "))
                self.assertEqual(f"tcp:{host}:{port}" in client.stats("conns").values(), True)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", common))

    @unittest.skipUnless(has_ipv6(), "this host has no IPv6")
    def test_ipv6(self):
        port, other = free_port(), free_port()
        self.daemon("-p", str(port), "-l", f"::1,[::1]:{other}")
        for at in (port, other):
            with self.reach(lambda to=at: Client("::1", to)) as client:
                self.assertEqual(client.set("k", b"v"), "STORED")

    def test_a_star_is_every_address(self):
        port = free_port()
        self.daemon("-l", f"*:{port}")
        for host in (HOST, "127.0.0.9"):
            self.reach(lambda to=host: Client(to, port)).close()

    def test_an_address_that_is_not_here_stops_the_start(self):
        child = self.daemon("-l", "192.0.2.1", "-p", str(free_port()))
        self.assertEqual(child.wait(10), EX_OSERR)
        self.assertIn("failed to listen on 192.0.2.1:", self.log())

    def test_what_each_connection_does_is_told(self):
        node = self.node().start()
        with node.client() as storing, node.client() as deaf, node.client() as asking:
            asking.set("large", b"x" * 1000000)
            storing.send(b"set k 0 0 6\r\nab")
            deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.send(b"get large\r\n" * 100)

            def states():
                rows = asking.stats("conns")
                return {address: rows[name.replace(":addr", ":state")]
                        for name, address in rows.items() if name.endswith(":addr")}
            expected = {f"tcp:{HOST}:{client.socket.getsockname()[1]}": state for client, state in
                        ((storing, "conn_nread"), (deaf, "conn_mwrite"),
                         (asking, "conn_parse_cmd"))}
            expected[f"tcp:{HOST}:{node.port}"] = "conn_listening"
            eventually(lambda: states() == expected, 5, lambda: f"{states()}, not {expected}")

    # ---- commands about the process

    def test_shutdown_is_off_unless_enabled(self):
        node = self.node("a").start()
        with node.client() as client:
            self.assertEqual(client.command("shutdown"), "SERVER_ERROR: shutdown not enabled")
        self.assertTrue(node.running())

    def test_shutdown_ends_the_process_cleanly(self):
        for word in ("shutdown", "shutdown graceful"):
            node = self.node(flags=["-A"]).start()
            with node.client() as client:
                self.assertEqual(client.stats("settings")["shutdown_command"], "yes")
                self.assertEqual(client.command("shutdown foo"),
                                 "CLIENT_ERROR invalid shutdown mode")
                node.signal_to_end(0)  # asked for, by the client
                client.send(word.encode() + b"\r\n")
                self.assertTrue(client.closed())
            self.assertEqual(node.wait_dead(5), 0, node.log())
            node.wait_log(rf"stopping: client \d+ \({HOST}:\d+\) sent {word}")

    def test_flush_all_can_be_denied_and_the_log_says_who_sent_it(self):
        for flags, answer, tail in (([], "OK", ""),
                                    (["-F"], "CLIENT_ERROR flush_all not allowed", ": refused")):
            node = self.node(flags=flags).start()
            with node.client() as client:
                client.set("k", b"v")
                port = client.socket.getsockname()[1]
                self.assertEqual(client.command("flush_all"), answer)
                self.assertEqual(client.get("k"), b"v" if flags else None)
                self.assertEqual(client.stats("settings")["flush_enabled"],
                                 "no" if flags else "yes")
                self.assertEqual(client.stats()["cmd_flush"], "1")
            node.wait_log(rf"flush_all from client \d+ \({HOST}:{port}\){tail}\n")

    def test_flush_all_again_and_again_does_not_fill_the_log(self):
        node = self.node().start()
        with node.client() as client:
            client.send(b"flush_all\r\n" * 1000 + b"version\r\n")
            for _ in range(1000):
                self.assertEqual(client.line(), "OK")
            client.line()
        self.assertLess(node.log().count("flush_all from"), 100)

    def test_dumps_can_be_denied(self):
        node = self.node(flags=["-X"]).start()
        with node.client() as client:
            self.assertEqual(client.command("stats cachedump 1 0"),
                             "CLIENT_ERROR stats cachedump not allowed")
            self.assertEqual(client.command("stats detail on"),
                             "CLIENT_ERROR stats detail not allowed")
            self.assertEqual(client.stats("settings")["dump_enabled"], "no")

    def test_a_connection_that_is_reset_is_nothing_to_worry_about(self):
        node = self.node().start()
        for _ in range(20):
            with node.client() as client:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.send(b"get k\r\n")
        eventually(lambda: node.stats()["curr_connections"] == "1", 5, "they are all gone")
        with self.assertRaises(ConnectionLost), node.client() as client:
            client.send(b"quit\r\n")
            client.line()


if __name__ == "__main__":
    main()
