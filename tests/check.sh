#!/usr/bin/env bash
# Every check of the project.
#
#   tests/check.sh               all of the ordinary ones, in the order below
#   tests/check.sh STEP ...      some: tools fmt deny clippy doc build unit e2e
#   tests/check.sh long          what takes minutes: tests with the prefix `long_`, and figures of
#                                a cluster under the worst calls
#
# E2E_JOBS is the number of end-to-end test programs that run side by side, E2E="reads rules" names
# some of them.
#
# `tools` installs what is needed beyond Rust and a C compiler: Chromium and its driver for the
# browser test, the real data of the iso-codes package, libfaketime for wrong clocks, Node.js for the
# differential test and Python for Schemathesis and cargo-deny, which fetch their packages by
# themselves. Needs root (or sudo) for that only.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}

# Test programs that take the machine for themselves: a browser, and those that watch how the nodes
# share it.
alone="access_page browser overload"
# Those that take longest go first, so that none is left over at the end.
first="openapi differential transactions access reads indexes"

step() { printf '\n== %s\n' "$*"; }

step_tools() {
  local missing=()
  command -v cc >/dev/null || missing+=(build-essential)
  command -v node >/dev/null || missing+=(nodejs)
  command -v npm >/dev/null || missing+=(npm)
  [ -x /usr/bin/chromium ] || missing+=(chromium)
  [ -x /usr/bin/chromedriver ] || missing+=(chromium-driver)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  [ -d /usr/share/iso-codes/json ] || missing+=(iso-codes)
  command -v faketime >/dev/null || missing+=(faketime)
  [ ${#missing[@]} -gt 0 ] || return 0
  step "installing ${missing[*]}"
  local sudo
  sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

step_fmt() {
  step "formatting"
  cargo fmt --all -- --check
}

step_deny() {
  step "licences, bans and sources of what is built in"
  local deny
  deny=$(tests/python/environment.sh)/cargo-deny
  # There is no such package for every kind of machine.
  [ -x "$deny" ] || deny=cargo-deny
  command -v "$deny" >/dev/null || cargo install --locked --quiet cargo-deny@0.20.2
  "$deny" --locked --log-level error check bans licenses sources
}

step_clippy() {
  step "clippy"
  cargo clippy --workspace --all-targets --locked -- -D warnings
}

step_doc() {
  step "docs"
  RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
}

step_build() {
  step "building the programs under test, and the tests"
  cargo build --workspace --locked --quiet
  cargo test --workspace --locked --no-run --quiet
}

step_unit() {
  step "unit tests"
  cargo test --workspace --locked --lib --bins
  cargo test --workspace --locked --doc --quiet
}

step_e2e() {
  step "end-to-end tests"
  run_e2e ""
}

step_long() {
  step "tests that take minutes"
  cargo build --workspace --locked --quiet
  export JETTRA_LONG=1
  E2E_JOBS=1 run_e2e long_
  step "the worst calls on a cluster of release builds"
  cargo build --workspace --release --locked --quiet
  "$target/release/worst_case"
}

# Runs the end-to-end tests whose name contains $1, several programs at a time. They wait for
# elections, time-outs and flushes more than they work. What a program prints is kept in
# $target/e2e and shown when it has ended.
run_e2e() {
  local filter=$1 jobs=${E2E_JOBS:-$(($(nproc) + 1))} wanted=() name programs side_by_side last
  local status=0
  set -f
  for name in ${E2E:-*}; do wanted+=(--test "$name"); done
  set +f
  # As a part of the workspace, so that nothing is built again with other features.
  programs=$(cargo test --workspace --locked --no-run --message-format=json "${wanted[@]}" |
    python3 tests/python/programs.py)
  side_by_side=$(sort_programs "$programs" "$first" "$alone")
  last=$(sort_programs "$programs" "$alone" only)
  mkdir -p "$target/e2e"
  export filter target=$(realpath "$target")
  export -f run_program
  xargs -r -P "$jobs" -L 1 bash -c 'run_program "$@"' _ <<<"$side_by_side" || status=1
  xargs -r -P 1 -L 1 bash -c 'run_program "$@"' _ <<<"$last" || status=1
  return $status
}

# Lines "name path" of $1: those named in $2 first and in that order, then the others but those
# named in $3; no others when $3 is "only".
sort_programs() {
  local name
  for name in $2; do
    grep "^$name " <<<"$1" || true
  done
  [ "$3" = only ] || grep -vE "^(${2// /|}|${3// /|}) " <<<"$1" || true
}

# Runs the test program $1 at $2.
run_program() {
  local log=$target/e2e/$1.log began=$SECONDS status=0
  (cd tests && exec "$2" $filter) >"$log" 2>&1 </dev/null || status=$?
  [ -z "$filter" ] || ! grep -q '^running 0 tests' "$log" || return $status
  # One write, so that the lines of programs don't mix.
  printf '%s\n' "== $1: $((SECONDS - began)) s$([ $status = 0 ] || echo ", FAILED ($status)")
$(grep -v '^$' "$log")"
  return $status
}

steps=("$@")
[ $# -gt 0 ] || steps=(tools fmt deny clippy doc build unit e2e)
for name in "${steps[@]}"; do
  declare -F "step_$name" >/dev/null || { echo "there is no step $name; see $0" >&2; exit 2; }
done
for name in "${steps[@]}"; do
  began=$SECONDS
  "step_$name"
  echo "-- $name: $((SECONDS - began)) s"
done
