"""A machine of one's own for a test: a throw-away copy of this one's root, in namespaces.

What is installed here is installed there; what is changed there is gone at the end. Its network is a
loopback of its own. Needs root and an overlay of the root; where those cannot be had the test is
skipped, with a line that says so.
"""

import os
import shutil
import subprocess
import sys

from harness import SKIPPED, SOURCE

# enter ROOT SHARED [systemd]: runs SHARED/script in the copy, in which SHARED is /root/shared.
ENTER = r"""
set -e
root=$1
mount -t tmpfs none "$root"
mkdir "$root/up" "$root/work" "$root/root"
mount -t overlay overlay -o lowerdir=/,upperdir="$root/up",workdir="$root/work" "$root/root" || exit 77
root=$root/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs none "$root/run"
mkdir -p "$root/root/shared"
mount --bind "$2" "$root/root/shared"
ip link set lo up
if [[ $3 == systemd ]]; then
  mount -t sysfs -o ro sysfs "$root/sys"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup" || exit 77
  # Nothing of this machine's is started but what the script asks for.
  rm -rf "$root"/etc/systemd/system/*.wants/*
  # ... and /tmp, which a machine empties when it starts, may hold what is under test.
  ln -sf /dev/null "$root/etc/tmpfiles.d/tmp.conf"
  rm -f "$root/usr/sbin/policy-rc.d"  # what is installed there is started there
  cat >"$root/etc/systemd/system/session.service" <<'TXT'
[Unit]
After=basic.target dbus.socket
Wants=basic.target dbus.socket
[Service]
Type=oneshot
ExecStart=/bin/bash -c '/bin/bash /root/shared/script; systemctl exit $?'
StandardOutput=append:/root/shared/out
StandardError=append:/root/shared/out
TXT
  export container=lxc
  # Not chroot: the kernel makes no user namespace (PrivateUsers=) for who is in one.
  cd "$root"
  mkdir -p root/outside
  pivot_root . root/outside
  umount -l /root/outside
  exec /lib/systemd/systemd --system --unit=session.service --log-target=journal
fi
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
exec chroot "$root" bash /root/shared/script >"$2/out" 2>&1
"""


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def require(*tools):
    """Skips the test where a machine cannot be made or a tool is missing."""
    if os.geteuid() != 0:
        skip("only root can install packages")
    for tool in tools:
        if not shutil.which(tool):
            skip(f"{tool} is not installed")
    if subprocess.run(["dpkg-query", "-W", "memtandem"], capture_output=True,
                      check=False).returncode == 0:
        skip("memtandem is installed on this machine")


def run(*command, seconds=280, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=seconds,
                          check=False, **options)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with {done.returncode}:\n{done.stdout[-3000:]}"
                 f"{done.stderr[-5000:]}")
    return done.stdout


def package_environment():
    """For deploy/package.sh: it packs the programs under test, and compiles nothing."""
    return {"MEMTANDEM_BUILD": os.environ["TANDEM_BUILD_DIR"],
            "DEB_BUILD_OPTIONS": "nostrip"}  # stripping takes longer than all else


def build_package(directory):
    """The path of the package, in this folder."""
    run(SOURCE / "deploy" / "package.sh", directory, env={**os.environ, **package_environment()})
    (package,) = directory.glob("memtandem_*.deb")
    return package


def inside(directory, script, systemd=False, seconds=280):
    """Runs a bash script in the machine and returns what it printed.

    `directory` is the test's own, of which `shared` is /root/shared there. With `systemd` that is
    the machine's first process, as on any other.
    """
    shared, root = directory / "shared", directory / "root"
    for each in (shared, root):
        each.mkdir(exist_ok=True)
    (shared / "script").write_text(script)
    done = subprocess.run(["unshare", "-m", "-n", "-p", "-C", "-f", "--kill-child", "bash", "-c", ENTER,
                           "enter", root, shared, "systemd" if systemd else "plain"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds,
                          check=False)
    out = shared / "out"
    if done.returncode == SKIPPED or not out.exists():
        skip("a machine of its own cannot be made here"
             + (" with systemd in it" if systemd else "") + f": {done.stderr.strip()[-300:]}")
    text = out.read_text(errors="replace")
    if done.returncode != 0:
        sys.exit(f"the script ended with {done.returncode}:\n{text[-8000:]}")
    return text
