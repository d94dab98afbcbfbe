"""The control socket: its protocol, its limits, its file."""

import contextlib
import os
import socket
import stat
import subprocess

from control import Control, Refused, configure, run
from harness import PairTest, eventually, main

CLIENTS_MAX = 16
LINE_BYTES_MAX = 1024


class ControlSocket(PairTest):
    def started(self, yaml=""):
        return configure(self.node("a"), yaml).start()

    def test_commands_are_answered_in_order_on_one_connection(self):
        node = self.started()
        with Control(node.control_path) as control:
            control.send(b"status\nhelp\r\n\nnonsense\nstatus please\n")
            status = dict(line.split(" ", 1) for line in control.answer())
            self.assertEqual((status["role"], status["term"], status["link"]),
                             ("MASTER", "1", "down"))
            self.assertTrue(any(line.startswith("status: ") for line in control.answer()))
            for reason in ("a command was expected: try help", "unknown command: try help",
                           "too many arguments: try help"):
                with self.assertRaises(Refused) as refused:
                    control.answer()
                self.assertEqual(str(refused.exception), reason)
            # What `status` says is what clients see.
            rows = node.replication()
            for name, value in control.status().items():
                self.assertEqual(rows[name], value, name)
            # A client that has said all still gets its answer, and then the end.
            control.send(b"status\n")
            control.socket.shutdown(socket.SHUT_WR)
            self.assertTrue(control.answer())
            with self.assertRaises(EOFError):
                control.line()

    def test_a_line_too_long_or_one_client_too_many_is_refused(self):
        node = self.started()
        with Control(node.control_path) as control:
            control.send(b"x" * LINE_BYTES_MAX)
            self.assertEqual(control.line(), "ERROR the line is too long")
            with self.assertRaises(EOFError):
                control.line()
        idle = [Control(node.control_path) for _ in range(CLIENTS_MAX)]
        for control in idle:
            self.assertTrue(control.status())
        with Control(node.control_path) as control:
            self.assertEqual(control.line(), "ERROR too many clients")
        for control in idle:
            control.close()

        def answered():
            with contextlib.suppress(Refused):  # the node may not have heard yet that they left
                return run(node, "status")

        eventually(answered, 5, "places are free again")
        # Clients that leave without waiting cost nothing.
        before = node.process.descriptors()
        for _ in range(5):
            for _ in range(CLIENTS_MAX):
                # One that comes before the last ones are found to have left may be one too many.
                with Control(node.control_path) as control, contextlib.suppress(BrokenPipeError):
                    control.send(b"status\n")
            eventually(lambda: node.process.descriptors() <= before, 5, "they are closed")
        self.assertTrue(node.running())

    def test_the_file_has_its_mode_and_a_stale_one_is_replaced(self):
        node = self.started("  socket_mode: 0640\n")
        there = os.stat(node.control_path)
        self.assertTrue(stat.S_ISSOCK(there.st_mode))
        self.assertEqual(stat.S_IMODE(there.st_mode), 0o640)
        node.kill_and_wait()
        self.assertTrue(node.control_path.exists())
        node.start()
        self.assertTrue(run(node, "status"))
        # A live one is not taken away.
        other = configure(self.node("b"))
        (other.directory / "b.yaml").write_text(f"control: {{socket: {node.control_path}}}\n")
        done = subprocess.run(other.arguments(), capture_output=True, text=True, timeout=20,
                              check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("control socket", done.stderr)
        self.assertTrue(run(node, "status"))
        self.assertEqual(node.terminate(), 0)
        self.assertFalse(node.control_path.exists())

    def test_without_replication_there_is_nothing_to_command(self):
        node = configure(self.node("a"), "replication:\n  enabled: false\n").start(wait=False)
        eventually(lambda: node.stats("replication")["replication"] == "OFF", 10, "it serves")
        with self.assertRaises(Refused) as refused:
            run(node, "status")
        self.assertEqual(str(refused.exception), "replication is off")


if __name__ == "__main__":
    main()
