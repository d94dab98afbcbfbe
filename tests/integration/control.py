"""The control socket of a node: a command in, lines and a verdict out."""

import contextlib
import socket


class Refused(Exception):
    """`ERROR reason`."""


class Control:
    """One connection. `timeout` seconds for each answer."""

    def __init__(self, path, timeout=15.0):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))  # waits where one with a time limit would not
        self.socket.settimeout(timeout)
        self._buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        """The next line without its end; EOFError when the node has closed."""
        while b"\n" not in self._buffer:
            got = self.socket.recv(4096)
            if not got:
                raise EOFError("the control socket was closed")
            self._buffer += got
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode()

    def answer(self):
        """The lines of an answer; Refused if that is what it is."""
        lines = []
        while True:
            line = self.line()
            if line == "OK":
                return lines
            if line.startswith("ERROR "):
                raise Refused(line[len("ERROR "):])
            lines.append(line)

    def run(self, command):
        self.send(command.encode() + b"\n")
        return self.answer()

    def status(self):
        return dict(line.split(" ", 1) for line in self.run("status"))


def configure(node, yaml=""):
    """Gives the node a control socket, and `yaml` besides, from its next start on."""
    node.control_path = node.directory / f"{node.name}.sock"
    config = node.directory / f"{node.name}.yaml"
    config.write_text(f"control:\n  socket: {node.control_path}\n{yaml}")
    node.flags += ["--config", str(config)]
    return node


def run(node, command, timeout=15.0):
    """One command on a connection of its own."""
    with contextlib.closing(Control(node.control_path, timeout)) as control:
        return control.run(command)
