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

# build NAME "TARGETS" CMAKE-ARGUMENT...: configures build-NAME and builds these targets of it. A build
# that fails ends the run.
build() {
  local name=$1 targets
  read -r -a targets <<<"$2"
  shift 2
  say "building $name"
  if ! cmake -S "$here" -B "$build_root/build-$name" -G Ninja "$@" ||
    ! cmake --build "$build_root/build-$name" --parallel "$jobs" --target "${targets[@]}"; then
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

# tidy FOLDER...: clang-tidy on the sources of these folders. The analyzer, which takes a large
# part of its time, runs with --lint.
tidy() {
  local checks=()
  [[ $lint_only -eq 1 ]] || checks=(--checks=-clang-analyzer-*)
  (cd "$here" && sources "${@/%//*.cc}" |
    xargs -P "$jobs" -n 1 clang-tidy --quiet "${checks[@]}" -p "$build_root/build-release" \
      --extra-arg=-Wno-unknown-warning-option)
}

format() { (cd "$here" && sources '*.cc' '*.h' | xargs clang-format --dry-run -Werror); }
scripts() { (cd "$here" && sources '*.sh' .ci/run | xargs shellcheck); }
python() {
  (cd "$here" && sources '*.py' |
    xargs python3 -c 'import ast, sys; [ast.parse(open(f).read(), f) for f in sys.argv[1:]]')
}

# lint FOLDER...: all source checks, with clang-tidy on these folders.
lint() {
  say "checking the sources"
  local headers=(all_verify_interface_header_sets) folder
  if [[ $lint_only -eq 0 ]]; then
    headers=()
    for folder in "$here"/common/*/ config; do
      headers+=("tandem_$(basename "$folder")_verify_interface_header_sets")
    done
  fi
  check clang-format format
  check layers python3 "$here/tests/layers.py" --self-test
  check shellcheck scripts
  check python python
  check "headers stand alone" cmake --build "$build_root/build-release" --parallel "$jobs" \
    --target "${headers[@]}"
  check "clang-tidy on $*" tidy "$@"
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

  build release all -DCMAKE_BUILD_TYPE=Release -DMEMTANDEM_SIM_SEEDS="$sim_seeds" \
    -DMEMTANDEM_FUZZ_SECONDS="$fuzz_seconds" -DMEMTANDEM_SOAK_ROUNDS="$soak_rounds" \
    -DMEMTANDEM_BENCH="$bench" -DMEMTANDEM_TOOLS="$tools"
  if [[ $lint_only -eq 1 ]]; then
    lint common config proxy tests
    finish
    return
  fi
  run_tests release
  if [[ $quick -eq 1 ]]; then
    finish
    return
  fi

  # The loops of proxy/ are looked at by --lint, they take minutes.
  lint common config

  local sanitized=(-DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1")
  build asan all "${sanitized[@]}" -DMEMTANDEM_SANITIZE=address,undefined -DMEMTANDEM_SIM_SEEDS=60 \
    -DMEMTANDEM_FUZZ_SECONDS="$fuzz_seconds" -DMEMTANDEM_SOAK_ROUNDS=3
  # What runs other tests once more, in other company, does so in the plain build.
  run_tests asan --exclude-regex '^integration.stock_behind_all'
  build tsan "memtandem tandem_unit tandem_load" "${sanitized[@]}" -DMEMTANDEM_SANITIZE=thread -DMEMTANDEM_SIM_SEEDS=10 \
    -DMEMTANDEM_FUZZ_SECONDS=1 -DMEMTANDEM_SOAK_ROUNDS=3
  # Without those of one thread each, and the two that take a minute here: what they run, others do.
  run_tests tsan --exclude-regex '^(fuzz|sim|interop.edge_cases|interop.stock_edge_cases|integration.ctl|integration.stock_behind_all|integration.stock_copy)'
  finish
}

main
