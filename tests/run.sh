#!/usr/bin/env bash
# Builds Memtandem and runs all its tests, from any directory, on Debian 12: plainly, under ASan and
# UBSan, and under TSan. Installs what it needs. The last line counts the tests of all builds:
# "N passed, N failed"; the exit status is 0 only where nothing failed.
set -euo pipefail

usage() {
  cat <<'TXT'
usage: tests/run.sh [options]
  --quick              the plain build only, without sanitizers
  --lint               the source checks only: format, clang-tidy on everything, layers, scripts
  --soak [ROUNDS]      a long soak: ROUNDS (200) rounds of kill, stop and restart under load
  --sim-seeds N        seeds of the simulator in the plain build (2000)
  --fuzz-seconds N     seconds for each fuzzer (4)
  --tools              also the tests that need a browser, Prometheus, HAProxy, keepalived or the
                       package tools, which are installed; without, they run where those are there,
                       but for an operator's session by the README, and the drop-in for Debian's
                       memcached, on an empty machine
  --bench              also the benchmarks: CPU time per set and per request against memcached, what
                       the admin port costs
  --jobs N             processes at once (the number of cores)
  --build-root DIR     where build-release, build-asan and build-tsan lie (the checkout)
  --no-install         install no packages
  --help
TXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
quick=0 lint_only=0 bench=0 tools=0 install=1
soak_rounds=10 sim_seeds=2000 fuzz_seconds=4
jobs=$(nproc)
build_root=$here

wants_value() { [[ $# -ge 2 && -n $2 ]] || { echo "$1 wants a value" >&2; usage >&2; exit 2; }; }
while [[ $# -gt 0 ]]; do
  case $1 in
    --quick) quick=1 ;;
    --lint) lint_only=1 ;;
    --tools) tools=1 ;;
    --bench) bench=1 ;;
    --no-install) install=0 ;;
    --soak)
      soak_rounds=200
      if [[ ${2-} =~ ^[0-9]+$ ]]; then soak_rounds=$2; shift; fi
      ;;
    --sim-seeds) wants_value "$@"; sim_seeds=$2; shift ;;
    --fuzz-seconds) wants_value "$@"; fuzz_seconds=$2; shift ;;
    --jobs) wants_value "$@"; jobs=$2; shift ;;
    --build-root) wants_value "$@"; build_root=$2; shift ;;
    --help | -h) usage; exit 0 ;;
    *) echo "unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

packages=(
  g++ cmake ninja-build git                                           # to build
  libboost1.81-dev libspdlog-dev libcli11-dev libyaml-cpp-dev libssl-dev libxxhash-dev catch2
  liblz4-dev libzstd-dev
  python3 python3-pymemcache libmemcached-tools memcached openssl     # to test
  libmemcached-dev python3-pylibmc python3-memcache                   # clients to test with
  php-cli php-memcached php-memcache libcache-memcached-perl libcache-memcached-fast-perl
  iproute2 util-linux                                                 # faults to test with
  clang-format clang-tidy shellcheck systemd                          # to check
)

if [[ $bench -eq 1 ]]; then packages+=(libbenchmark-dev nutcracker); fi
if [[ $tools -eq 1 ]]; then
  packages+=(
    chromium chromium-driver python3-selenium   # the status page
    prometheus haproxy keepalived python3-yaml  # checkers of deploy/
    debhelper scdoc man-db                      # the package
    zsh fish docker-compose                     # completions, the containers' example
    default-jdk-headless libspymemcached-java   # the README's clients
    golang-go golang-github-bradfitz-gomemcache-dev
  )
fi

passed=0 failed=0 skipped=0
failures=()
started=$SECONDS
declare -A behind_pids=()
last_behind=
trap leave_nothing EXIT

say() { printf '\n== %s (%d:%02d)\n' "$*" $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)); }

install_packages() {
  local missing=() package as_root=()
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
      missing+=("$package")
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  say "installing ${missing[*]}"
  if [[ $EUID -ne 0 ]]; then as_root=(sudo); fi
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# check NAME COMMAND...: one test of the closing count; goes on after a failure.
check() {
  local name=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
    echo "ok: $name"
  else
    failed=$((failed + 1))
    failures+=("$name")
    echo "FAILED: $name"
  fi
}

# behind NAME COMMAND...: runs this behind all that runs in front, after what was put there before.
# Tests wait a lot: it takes what they leave of the processors.
behind() {
  local name=$1 before=$last_behind
  shift
  set -m  # a process group of its own, for leave_nothing
  (
    renice -n 19 -p "$BASHPID" >/dev/null
    if [[ -n $before ]]; then tail --pid="$before" -f /dev/null; fi
    "$@"
  ) </dev/null >"$build_root/build-release/$name.log" 2>&1 &
  set +m
  last_behind=$!
  behind_pids[$name]=$!
}

# ended NAME: waits for what runs behind, shows what it said, and has its status.
ended() {
  local status=0
  wait "${behind_pids[$1]}" || status=$?
  unset "behind_pids[$1]"
  cat "$build_root/build-release/$1.log"
  return "$status"
}

leave_nothing() {
  local pid
  for pid in "${behind_pids[@]}"; do kill -- "-$pid" 2>/dev/null || true; done
}

# compile NAME "TARGETS" CMAKE-ARGUMENT...: configures build-NAME and builds these targets of it.
compile() {
  local name=$1 targets
  read -r -a targets <<<"$2"
  shift 2
  cmake -S "$here" -B "$build_root/build-$name" -G Ninja "$@" &&
    cmake --build "$build_root/build-$name" --parallel "$jobs" --target "${targets[@]}"
}

# build NAME COMMAND...: a build that fails ends the run.
build() {
  local name=$1
  shift
  say "building $name"
  if ! "$@"; then
    failed=$((failed + 1))
    failures+=("the build of $name")
    finish || exit 1
  fi
}

# The number that a JUnit file's attribute holds.
attribute() { sed -n "s/.*[[:space:]]$2=\"\([0-9]*\)\".*/\1/p" "$1" | head -n 1; }

# run_tests NAME CTEST-ARGUMENT...: runs tests of build-NAME and counts them.
run_tests() {
  local name=$1 report tests bad left_out
  shift
  report=$build_root/build-$name/junit.xml
  rm -f "$report"
  say "testing $name"
  # gcc 12's sanitizers cannot place their shadow where newer kernels put random mappings.
  setarch "$(uname -m)" -R ctest --test-dir "$build_root/build-$name" --parallel "$jobs" \
    --no-tests=error --output-on-failure --output-junit "$report" "$@" || true
  tests=$(attribute "$report" tests)
  bad=$(attribute "$report" failures)
  left_out=$(($(attribute "$report" skipped) + $(attribute "$report" disabled)))
  if [[ -z $tests || $tests -eq 0 ]]; then
    failed=$((failed + 1))
    failures+=("$name: no test ran")
    return
  fi
  passed=$((passed + tests - bad - left_out))
  failed=$((failed + bad))
  skipped=$((skipped + left_out))
  [[ $bad -eq 0 ]] || failures+=("$name: $bad of its tests, see above")
}

sources() { git -C "$here" ls-files --cached --others --exclude-standard -- "$@"; }

# together FOLDER: a file that includes the sources of this folder; its name.
together() {
  local file=$build_root/build-release/tidy/${1//\//_}.cc
  mkdir -p "${file%/*}"
  sources "$1/*.cc" | sed 's|.*|#include "&"  // NOLINT(bugprone-suspicious-include)|' >"$file"
  echo "$file"
}

# tidy_each FOLDER...: clang-tidy on each source of these folders.
tidy_each() {
  sources "${@/%//*.cc}" | xargs -P "$jobs" -n 1 clang-tidy --quiet \
    -p "$build_root/build-release" --extra-arg=-Wno-unknown-warning-option
}

# tidy_together FOLDER...: clang-tidy on the sources of these folders, those of a folder at once: it
# spends nearly all its time in headers. What looks at the named file only is looked for in each.
# Without the analyzer, which takes minutes.
tidy_together() {
  local folder flags=(-std=c++20 -I. '-DMEMTANDEM_VERSION=""') status=0
  for folder in "$@"; do together "$folder"; done |
    xargs -P "$jobs" -I FILE clang-tidy --quiet --config-file=.clang-tidy \
      --checks=-clang-analyzer-* --header-filter='(common|config|proxy)/.*' FILE -- "${flags[@]}" ||
    status=1
  sources "${@/%//*.cc}" | xargs grep -lE '^ *using [a-z_:]+::[a-z_]+;' |
    xargs -P "$jobs" -I FILE clang-tidy --quiet --checks=-*,misc-unused-using-decls FILE \
      -- "${flags[@]}" || status=1
  return "$status"
}

format() { (cd "$here" && sources '*.cc' '*.h' | xargs clang-format --dry-run -Werror); }
scripts() { (cd "$here" && sources '*.sh' .ci/run | xargs shellcheck); }
python() {
  (cd "$here" && sources '*.py' |
    xargs python3 -c 'import ast, sys; [ast.parse(open(f).read(), f) for f in sys.argv[1:]]')
}

# headers TARGET...: whether they can be included alone.
headers() { cmake --build "$build_root/build-release" --parallel "$jobs" --target "$@"; }

quick_checks() {
  say "checking the sources"
  check clang-format format
  check layers python3 "$here/tests/layers.py" --self-test
  check shellcheck scripts
  check python python
}

finish() {
  say "done"
  if [[ ${#failures[@]} -gt 0 ]]; then printf 'failed: %s\n' "${failures[@]}"; fi
  if [[ $skipped -gt 0 ]]; then
    echo "$passed passed, $failed failed, $skipped skipped"
  else
    echo "$passed passed, $failed failed"
  fi
  [[ $failed -eq 0 && $passed -gt 0 ]]
}

main() {
  mkdir -p "$build_root"
  if [[ $install -eq 1 ]]; then install_packages; fi
  export CTEST_OUTPUT_ON_FAILURE=1

  build_root=$(cd "$build_root" && pwd)
  cd "$here"

  build release compile release all -DCMAKE_BUILD_TYPE=Release -DMEMTANDEM_SIM_SEEDS="$sim_seeds" \
    -DMEMTANDEM_FUZZ_SECONDS="$fuzz_seconds" -DMEMTANDEM_SOAK_ROUNDS="$soak_rounds" \
    -DMEMTANDEM_BENCH="$bench" -DMEMTANDEM_TOOLS="$tools"
  if [[ $lint_only -eq 1 ]]; then
    quick_checks
    check "headers stand alone" headers all_verify_interface_header_sets
    check "clang-tidy" tidy_each common config proxy tests
    finish
    return
  fi
  run_tests release
  if [[ $quick -eq 1 ]]; then
    finish
    return
  fi
  quick_checks

  local sanitized=(-DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1")
  build asan compile asan all "${sanitized[@]}" -DMEMTANDEM_SANITIZE=address,undefined \
    -DMEMTANDEM_SIM_SEEDS=60 -DMEMTANDEM_FUZZ_SECONDS="$fuzz_seconds" -DMEMTANDEM_SOAK_ROUNDS=3

  # Behind tests of sanitized builds, whose deadlines are wide; those of the plain build run alone.
  behind tsan compile tsan "memtandem tandem_unit tandem_load" "${sanitized[@]}" \
    -DMEMTANDEM_SANITIZE=thread -DMEMTANDEM_SIM_SEEDS=10 -DMEMTANDEM_FUZZ_SECONDS=1 \
    -DMEMTANDEM_SOAK_ROUNDS=3
  # The loops of proxy/ are looked at by --lint, they take minutes.
  local folders=(config) verify=() folder
  for folder in common/*/; do folders+=("${folder%/}"); done
  for folder in "${folders[@]}"; do
    verify+=("tandem_${folder##*/}_verify_interface_header_sets")
  done
  behind headers headers "${verify[@]}"
  behind tidy tidy_together "${folders[@]}"

  # What runs other tests once more, in other company, does so in the plain build.
  run_tests asan --exclude-regex '^integration.stock_behind_all'
  build tsan ended tsan
  # Without those of one thread each, and the two that take a minute here: what they run, others do.
  run_tests tsan --exclude-regex '^(fuzz|sim|interop.edge_cases|interop.stock_edge_cases|integration.ctl|integration.stock_behind_all|integration.stock_copy)'
  say "what was checked meanwhile"
  check "headers stand alone" ended headers
  check "clang-tidy on common and config" ended tidy
  finish
}

main
