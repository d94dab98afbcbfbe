"""Debian's memcached behind Memtandem, as the units start them: deploy/systemd/memcached.service.d.

On a machine of its own (machine.py) with systemd as its first process, from the package with the
programs under test: the drop-in is installed as it says, what is stored through Memtandem is in that
memcached, nobody else can open its socket, and a restart of memcached.service loses nothing, for
there is a peer.
"""

import pathlib
import shutil
import tempfile

import machine

SCRIPT = r"""
set -euo pipefail
exec 2>&1
socket=/run/memcached/memcached.sock
python=/usr/bin/python3  # that others may run, too
fail() {
  echo "FAILED: $*"
  systemctl status memcached 'memtandem*' --no-pager -l -n 0
  journalctl --no-pager -q _TRANSPORT=stdout + _TRANSPORT=journal | tail -60
  exit 1
}
eventually() {  # WHAT COMMAND...
  local what=$1
  shift
  for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
  "$@" || true
  fail "not within 30 s: $what"
}
# ask WHERE TEXT: a port's or a socket's answer.
ask() { "$python" - "$1" "$2" <<'TXT'
import socket, sys
where, text = sys.argv[1:]
unix = where.startswith("/")
with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as talk:
    talk.settimeout(5)
    talk.connect(where if unix else ("127.0.0.1", int(where)))
    talk.sendall(text.encode().decode("unicode_escape").encode() + b"quit\r\n")
    answer = b""
    while data := talk.recv(4096):
        answer += data
    print(answer.decode(), end="")
TXT
}
says() { [[ $(ask "$1" "$2" 2>&1) == *"$3"* ]]; }
row() { ask "$1" 'stats\r\n' | tr -d '\r' | sed -n "s/^STAT $2 //p"; }

dpkg -i /root/shared/memtandem.deb >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; fail "the package"; }
systemctl stop memtandem memcached || true

install -D -m 0644 /usr/share/memtandem/memcached.service.d/memtandem.conf \
  /etc/systemd/system/memcached.service.d/memtandem.conf
systemd-analyze verify memcached.service || fail "the unit with the drop-in"
cat >/etc/memtandem/memtandem.yaml <<'TXT'
cache: {engine: memcached}
backend: {address: /run/memcached/memcached.sock}
listen: {addresses: ["127.0.0.1"], port: 11211}
replication: {peer: "127.0.0.1:21212", listen_port: 11212, listen_addresses: ["127.0.0.1"]}
control: {socket: /run/memtandem/control.sock, socket_mode: 0660}
TXT
cat >/etc/memtandem/other.yaml <<'TXT'
listen: {addresses: ["127.0.0.1"], port: 21211}
replication: {peer: "127.0.0.1:11212", listen_port: 21212, listen_addresses: ["127.0.0.1"]}
control: {socket: /run/memtandem-other/control.sock, socket_mode: 0660}
TXT
chgrp memtandem /etc/memtandem/*.yaml && chmod 0640 /etc/memtandem/*.yaml
systemctl daemon-reload
systemctl start memcached || fail "memcached"
eventually "its socket is there" test -S $socket
[[ -z $(ss -Hlntu | grep :11211) ]] || fail "memcached listens on a port"
[[ $(ps -o user= -C memcached) == memtandem ]] || fail "memcached's user: $(ps -o user= -C memcached)"
systemctl start memtandem memtandem@other || fail "memtandem"
eventually "they are in sync" memtandemctl -i other check in-sync

# Through Memtandem into that memcached, which others cannot open.
says 11211 'set key 5 1000 5\r\nvalue\r\n' STORED || fail "a set: $(ask 11211 'stats\r\n')"
[[ $(runuser -u memtandem -- bash -c "$(declare -f ask); python=$python; ask $socket 'get key\r\n'") == \
   *"VALUE key 5 5"* ]] || fail "it is not in the memcached"
for user in nobody memcache; do
  said=$(runuser -u $user -- bash -c "$(declare -f ask); python=$python; ask $socket 'get key\r\n'" 2>&1) &&
    fail "$user can open the socket: $said"
  [[ $said == *PermissionError* ]] || fail "$user: $said"
done
[[ $(row 11211 backend_watched) == yes ]] || fail "it is not watched"

# A restart empties it; the peer fills it.
eventually "the peer has it" says 21211 'get key\r\n' "VALUE key 5 5"
before=$(runuser -u memtandem -- bash -c "$(declare -f ask row); python=$python; row $socket pid")
systemctl restart memcached || fail "its restart"
eventually "its socket is there" test -S $socket
eventually "it has the data again" says 11211 'get key\r\n' "VALUE key 5 5"
after=$(runuser -u memtandem -- bash -c "$(declare -f ask row); python=$python; row $socket pid")
[[ $before != "$after" ]] || fail "it was not restarted"
[[ $(runuser -u memtandem -- bash -c "$(declare -f ask); python=$python; ask $socket 'get key\r\n'") == \
   *"VALUE key 5 5"* ]] || fail "it was not filled"
says 11211 'set key 5 1000 4\r\nnext\r\n' STORED || fail "a set after the restart"
[[ $(row 11211 backend_bypassed) == 0 ]] || fail "writes went round: $(row 11211 backend_bypassed)"
for unit in memtandem memtandem@other memcached; do
  [[ $(systemctl show -P NRestarts $unit) == 0 ]] || fail "$unit was restarted by itself"
done
systemctl stop memtandem memtandem@other memcached || fail "the end"
echo "memcached.service behind memtandem.service: as the drop-in says"
"""


def main():
    machine.require("dpkg-buildpackage", "dh", "scdoc", "memcached", "ss", "/usr/bin/python3",
                    "/lib/systemd/systemd")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="memtandem-unit-"))
    try:
        package = machine.build_package(directory / "built")
        (directory / "shared").mkdir()
        shutil.copy(package, directory / "shared" / "memtandem.deb")
        text = machine.inside(directory, SCRIPT, systemd=True, seconds=200)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print(text.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
