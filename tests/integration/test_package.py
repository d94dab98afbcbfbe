"""The Debian package: built, installed, upgraded in place without losing the data, and purged.

In a machine of its own (machine.py), with the programs under test: nothing is compiled.
"""

import pathlib
import shutil
import tempfile

import machine

# Runs in the copy, as root, with a network of its own.
SCRIPT = r"""
set -euo pipefail
fail() { echo "FAILED: $*" >&2; exit 1; }
old=/root/shared/one.deb new=/root/shared/two.deb

dpkg -i $old >/root/dpkg.log 2>&1 || { cat /root/dpkg.log >&2; fail "the installation"; }
[[ $(stat -c '%a %U:%G' /etc/memtandem/memtandem.yaml) == "640 root:memtandem" ]] || fail "the conffile's mode"
dpkg-query -W -f='${Conffiles}' memtandem | grep -q memtandem.yaml || fail "it is no conffile"
for page in "8 memtandem" "8 memtandemctl" "5 memtandem.yaml"; do man -w $page >/dev/null || fail "man $page"; done
bash -n /usr/share/bash-completion/completions/memtandemctl
memtandemctl config check /etc/memtandem/memtandem.yaml
[[ -z $(dpkg -V memtandem | grep -v '^??.* c ' || true) ]] || { dpkg -V memtandem; fail "dpkg -V"; }
systemd-analyze verify /lib/systemd/system/memtandem.service 2>&1 | grep memtandem && fail "the unit" || true

# The two instances of a pair, as the units start them.
for i in 0 1; do
  cat >/etc/memtandem/n$i.yaml <<TXT
listen: {addresses: [127.0.0.1], port: 1121$((i + 5))}
replication: {peer: "127.0.0.1:2000$((1 - i))", listen_port: 2000$i, listen_addresses: [127.0.0.1]}
control: {socket: /run/memtandem-n$i/control.sock}
TXT
  chown root:memtandem /etc/memtandem/n$i.yaml; chmod 0640 /etc/memtandem/n$i.yaml
  install -d -o memtandem -g memtandem -m 0755 /run/memtandem-n$i
done
declare -a pids
start() { memtandem --config /etc/memtandem/n$1.yaml -u memtandem </dev/null >>/root/n$1.log 2>&1 & pids[$1]=$!; }
until_yes() {
  for _ in $(seq 300); do memtandemctl -i n$1 check "$2" -q 2>/dev/null && return; sleep 0.1; done
  cat /root/n*.log >&2; fail "n$1 is not $2"
}
get() { exec 3<>/dev/tcp/127.0.0.1/1121$(($1 + 5)); printf 'get key\r\nquit\r\n' >&3; cat <&3; exec 3>&-; }
start 0; start 1
until_yes 0 in-sync; until_yes 1 in-sync
exec 3<>/dev/tcp/127.0.0.1/11215; printf 'set key 0 0 5\r\nvalue\r\nquit\r\n' >&3; grep -q STORED <&3; exec 3>&-

# The upgrade: the files, then each node after the other, the slave first.
echo '# mine' >>/etc/memtandem/memtandem.yaml
dpkg -i --force-confold $new >/root/dpkg.log 2>&1 || { cat /root/dpkg.log >&2; fail "the upgrade"; }
grep -q '^# mine$' /etc/memtandem/memtandem.yaml || fail "a changed conffile was replaced"
[[ $(stat -c '%a %U:%G' /etc/memtandem/memtandem.yaml) == "640 root:memtandem" ]] || fail "its mode after the upgrade"
if memtandemctl -i n0 check primary -q; then master=0; else master=1; fi
slave=$((1 - master))
restart() { kill ${pids[$1]}; wait ${pids[$1]} || fail "n$1 ended with $?"; start $1; until_yes $1 in-sync; }
restart $slave
memtandemctl -i n$master switchover >/dev/null || fail "the switchover"
until_yes $slave primary
restart $master
for i in 0 1; do get $i | grep -q value || fail "n$i has lost the data"; done
memtandemctl -i n$slave audit >/dev/null || fail "the nodes differ"
for i in 0 1; do kill ${pids[i]}; wait ${pids[i]} || fail "n$i ended with $?"; done

rm /etc/memtandem/n?.yaml
dpkg -r memtandem >/root/dpkg.log 2>&1 || fail "the removal"
[[ -e /etc/memtandem/memtandem.yaml && ! -e /usr/bin/memtandem ]] || fail "removed is with its conffile"
dpkg -P memtandem >/root/dpkg.log 2>&1 || { cat /root/dpkg.log >&2; fail "the purge"; }
left=$(find /etc /usr /lib/systemd /var/lib/systemd /run/ -xdev -iname '*memtandem*' 2>/dev/null | grep -v '^/usr/src\|^/usr/local' || true)
[[ -z $left ]] || fail "left behind: $left"
echo "installed, upgraded with the data, purged"
"""


def next_version(package, directory):
    """The same as the next version; its path."""
    unpacked = directory / "unpacked"
    machine.run("dpkg-deb", "-R", package, unpacked)
    control = unpacked / "DEBIAN" / "control"
    control.write_text("".join(
        line.rstrip("\n") + ("+next\n" if line.startswith("Version:") else "\n")
        for line in control.read_text().splitlines(keepends=True)))
    machine.run("dpkg-deb", "-b", "--root-owner-group", "-Zgzip", unpacked, directory / "two.deb")
    return directory / "two.deb"


def main():
    machine.require("dpkg-buildpackage", "dh", "scdoc", "man")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="memtandem-package-"))
    try:
        first = machine.build_package(directory / "built")
        second = next_version(first, directory)
        shared = directory / "shared"
        shared.mkdir()
        first.rename(shared / "one.deb")
        second.rename(shared / "two.deb")
        print(machine.inside(directory, SCRIPT).strip().splitlines()[-1])
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
