#!/usr/bin/env bash
# From a bare Debian 12 to a pair of Memtandems and through the death of each: installs packages,
# builds, starts two nodes on this machine and walks through what Repcached's users know. Every step
# is checked; a step that does not happen ends the script with status 1 and the logs.
set -euo pipefail

usage() {
  cat <<'TXT'
usage: deploy/quickstart.sh [options]
  --keep            leave a pair running at the end and say where
  --no-install      install no packages
  --build-dir DIR   where to build (build/ in the checkout)
  --help
TXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
keep=0 install=1 build_dir=$here/build
while [[ $# -gt 0 ]]; do
  case $1 in
    --keep) keep=1 ;;
    --no-install) install=0 ;;
    --build-dir) build_dir=${2:?"--build-dir wants a folder"}; shift ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done

packages=(g++ cmake ninja-build libboost1.81-dev libspdlog-dev libcli11-dev libyaml-cpp-dev
  libssl-dev libxxhash-dev liblz4-dev libzstd-dev)
step_seconds=15
started=$SECONDS

# ---- installing and building

install_packages() {
  local missing=() package as_root=()
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
      missing+=("$package")
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  echo "Installing ${missing[*]}"
  if [[ $EUID -ne 0 ]]; then as_root=(sudo); fi
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}"
}

build() {
  echo "Building into $build_dir"
  cmake -S "$here" -B "$build_dir" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMEMTANDEM_TESTS=OFF
  cmake --build "$build_dir" --parallel "$(nproc)" --target memtandem
}

# ---- the pair

directory=$(mktemp -d -t memtandem-quickstart.XXXXXX)
declare -A seen=([m1]=0 [m2]=0) # lines of the log that were shown

# The process of a node that runs, or nothing. A dead one may stay in the list of processes where
# nobody collects it (containers), as Z.
pid_of() {
  local pid state=Z
  pid=$(cat "$directory/$1.pid" 2>/dev/null) || return 0
  { read -r _ _ state _ <"/proc/${pid:-none}/stat"; } 2>/dev/null || true
  if [[ $state != [ZX] ]]; then echo "$pid"; fi
}

clean_up() {
  local status=$? node pid
  if [[ $status -eq 0 && $keep -eq 1 ]]; then return; fi
  for node in m1 m2; do
    pid=$(pid_of "$node")
    if [[ -n $pid ]]; then kill -9 "$pid" 2>/dev/null || true; fi
  done
  rm -rf "$directory"
}
trap clean_up EXIT

fail() {
  local node
  printf '\nFAILED: %s\n' "$*" >&2
  for node in m1 m2; do
    if [[ -f $directory/$node.log ]]; then
      printf -- '--- log of %s\n' "$node" >&2
      cat "$directory/$node.log" >&2
    fi
  done
  exit 1
}

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }

# before DEADLINE-TEXT COMMAND...: repeats a command until it succeeds, up to $step_seconds.
before() {
  local what=$1 deadline=$((SECONDS + step_seconds))
  shift
  until "$@"; do
    if ((SECONDS >= deadline)); then fail "$what did not happen within $step_seconds s"; fi
    sleep 0.02
  done
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

port_is_taken() { ! port_is_free "$1"; }

# The port wanted if it is free, else one above it that is.
choose_port() {
  local port=$1
  until port_is_free "$port"; do port=$((port + 1)); done
  echo "$port"
}

# run NODE ARGUMENT...: shows the command and runs it; the daemon's log goes to its file.
run() {
  local node=$1
  shift
  printf '$ memtandem %s\n' "$*"
  "$build_dir/memtandem" "$@" </dev/null >>"$directory/$node.log" 2>&1 || fail "memtandem $* ended with status $?"
}

log_after() { tail -n "+$((seen[$1] + 1))" "$directory/$1.log" | grep -n -m 1 -e "$2"; }
log_has() { log_after "$@" >/dev/null; }

# expect NODE TEXT...: waits until the node has logged these, in this order, and shows the lines.
expect() {
  local node=$1 text found
  shift
  for text in "$@"; do
    before "\"$text\" in the log of $node" log_has "$node" "$text"
    found=$(log_after "$node" "$text")
    seen[$node]=$((seen[$node] + ${found%%:*}))
    printf '  %s: %s\n' "$node" "${found#*:}"
  done
}

# talk PORT LINE...: sends the lines to memcached's port and prints the reply.
talk() {
  local port=$1 line connection
  shift
  { exec {connection}<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || return 1
  printf '%s\r\n' "$@" >&"$connection"
  while IFS= read -r -t 5 -u "$connection" line; do
    line=${line%$'\r'}
    echo "$line"
    case $line in STORED | END | NOT_STORED | *ERROR*) break ;; esac
  done
  exec {connection}>&-
}

says() { [[ $(talk "$1" "${@:3}") == "$2" ]]; }

# show NODE PORT EXPECTED LINE...: the same, shown as a session, and the reply must be that.
show() {
  local node=$1 port=$2 expected=$3 line
  shift 3
  before "\"$expected\" from $node for \"$*\"" says "$port" "$expected" "$@"
  for line in "$@"; do printf '  %s> %s\n' "$node" "$line"; done
  while IFS= read -r line; do printf '  %s\n' "$line"; done <<<"$expected"
}

value_of() { printf 'VALUE %s 0 %d\n%s\nEND' "$1" "${#2}" "$2"; }

# kill_node NODE: shows and does it, and waits until it is gone.
kill_node() {
  local pid
  pid=$(pid_of "$1")
  printf '$ kill -9 %s   # %s\n' "$pid" "$1"
  kill -9 "$pid"
  before "the end of $1" is_gone "$1"
}
is_gone() { [[ -z $(pid_of "$1") ]]; }

role_of() { talk "$1" 'stats replication' | sed -n 's/^STAT role //p'; }
has_role() { [[ $(role_of "$1") == "$2" ]]; }

walk_through() {
  local p1 p2 link link_flag=() user
  p1=$(choose_port 11211)
  p2=$(choose_port 21211)
  link=$(choose_port 11212)
  if [[ $link -ne 11212 ]]; then link_flag=(-X "$link"); fi
  user=$(id -un)
  local m1=(-v -d -p "$p1" -l 127.0.0.1 -u "$user" -P "$directory/m1.pid" "${link_flag[@]}")
  local m2=(-v -d -p "$p2" -l 127.0.0.1 -u "$user" -x 127.0.0.1 -P "$directory/m2.pid"
    "${link_flag[@]}")

  step "1. A master"
  run m1 "${m1[@]}"
  expect m1 'replication: listen'

  step "2. A slave: it connects, copies everything, and only then takes clients"
  run m2 "${m2[@]}"
  expect m2 "replication: connect (peer=127.0.0.1:$link" 'replication: marugoto copying' \
    'replication: start'
  expect m1 'replication: accept'

  step "3. What is set on the master is read on the slave"
  show m1 "$p1" STORED 'set key 0 0 6' sunsky
  show m2 "$p2" "$(value_of key sunsky)" 'get key'

  step "4. The master dies; the slave takes over with everything"
  kill_node m1
  expect m2 'replication: close' 'replication: listen'
  before "m2 being master" has_role "$p2" MASTER
  show m2 "$p2" "$(value_of key sunsky)" 'get key'
  show m2 "$p2" STORED 'set key 0 0 7' changed
  show m2 "$p2" STORED 'set meanwhile 0 0 4' here

  # On one machine both want the same link port: m2 takes it now that m1 has left it.
  before "m2 taking the link's port" port_is_taken "$link"
  step "5. The old master comes back, same command plus -x: it joins as slave and is filled"
  seen[m1]=$(wc -l <"$directory/m1.log")
  run m1 "${m1[@]}" -x 127.0.0.1
  expect m1 'replication: connect' 'replication: marugoto copying' 'replication: start'
  expect m2 'replication: accept'
  before "m1 being slave" has_role "$p1" SLAVE
  show m1 "$p1" "$(value_of key changed)" 'get key'
  show m1 "$p1" "$(value_of meanwhile here)" 'get meanwhile'

  step "6. The slave dies; the master goes on"
  kill_node m1
  expect m2 'replication: close' 'replication: listen'
  show m2 "$p2" STORED 'set key 0 0 5' alone
  show m2 "$p2" "$(value_of key alone)" 'get key'

  if [[ $keep -eq 1 ]]; then
    step "7. And back once more, to stay"
    seen[m1]=$(wc -l <"$directory/m1.log")
    run m1 "${m1[@]}" -x 127.0.0.1
    expect m1 'replication: start'
  fi
  summary "$p1" "$p2"
}

summary() {
  step "All of that happened, in $((SECONDS - started)) s."
  if [[ $keep -eq 1 ]]; then
    cat <<TXT
The pair runs: clients on 127.0.0.1:$1 and 127.0.0.1:$2, logs and pid files in $directory
  see it        exec 3<>/dev/tcp/127.0.0.1/$2; printf 'stats replication\r\nquit\r\n' >&3; cat <&3
  end it        kill \$(cat $directory/m1.pid $directory/m2.pid)
TXT
  fi
  cat <<TXT
How to go on:
  two machines  memtandem -v -d -u nobody -x THE-OTHER-HOST       on both, in any order
  install       cmake --install $build_dir   (program, systemd units, /etc/memtandem)
  configure     config/memtandem.sample.yaml explains every option; --check-config checks yours
TXT
}

if [[ $install -eq 1 ]]; then install_packages; fi
build
walk_through
