"""The admin port of a node, for tests: configuration and requests."""

import http.client
import json

from harness import HOST, free_port

TOKEN = "a-token-that-is-long-enough"


def configure(node, yaml="", admin=""):
    """Gives the node an admin port with a token, and a control socket, from its next start on."""
    node.admin_port = free_port()
    node.control_path = node.directory / f"{node.name}.sock"
    token = node.directory / "token"
    token.write_text(TOKEN + "\n")
    node.config = node.directory / f"{node.name}.yaml"
    node.config.write_text(f"control:\n  socket: {node.control_path}\n"
                           f"admin:\n  port: {node.admin_port}\n  token_file: {token}\n"
                           f"{admin}{yaml}")
    node.flags += ["--config", str(node.config)]
    return node


def ask(node, path, method="GET", token=None, timeout=20):
    """(status, body) of one request on a connection of its own."""
    connection = http.client.HTTPConnection(HOST, node.admin_port, timeout=timeout)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request(method, path, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def status(node):
    code, body = ask(node, "/status")
    assert code == 200, (code, body)
    return json.loads(body)
