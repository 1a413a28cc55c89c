#!/usr/bin/env bash
# Every check of the project, or some of them; `tests/check.sh --help` lists them.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
ordinary=(tools fmt deny clippy doc build unit e2e)

usage() {
  cat <<END
usage: tests/check.sh [STEP | PROGRAM | PROGRAM::TEST]...

Without arguments: ${ordinary[*]}.

Steps, run in the order given:
  tools   install what is needed beyond Rust; uses root or sudo, and apt-get
  fmt     the formatting
  deny    licences, bans and sources of the dependencies
  clippy  the lints
  doc     the documentation builds without a warning
  build   the programs under test, and all tests
  unit    unit tests and documentation tests
  e2e     end-to-end tests, all of them or those of the programs named
  long    tests that take minutes (their names begin with long_), and the figures of
          a cluster under the worst calls; with programs named, their long tests only
  golden  writes the responses as they are now into the scripts of tests/golden; read the
          diff afterwards

Programs of end-to-end tests; PROGRAM::TEST runs the tests whose names contain TEST:
$(programs | tr '\n' ' ' | fold -s -w 90 | sed 's/^/  /; s/ *$//')

Environment:
  NEXTEST_TEST_THREADS   end-to-end tests that run side by side (default: cores + 1)

Examples:
  tests/check.sh fmt clippy unit
  tests/check.sh fmt unit shell
  tests/check.sh replicas::sleeps
  tests/check.sh long failover
END
}

# The names of the end-to-end test programs.
programs() {
  local path
  for path in tests/tests/*.rs tests/tests/*/main.rs; do
    path=${path%/main.rs}
    basename "$path" .rs
  done | sort
}

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
  local tool
  for tool in curl jq bc lsof; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  command -v faketime >/dev/null || missing+=(faketime)
  if [ ${#missing[@]} -gt 0 ]; then
    step "installing ${missing[*]}"
    local sudo
    sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  fi
  tests/python/environment.sh >/dev/null
}

step_fmt() {
  step "formatting"
  cargo fmt --all -- --check
}

step_deny() {
  step "licences, bans and sources of the dependencies"
  local deny
  deny=$(tests/python/environment.sh)/cargo-deny
  # The Python package exists for some platforms only.
  [ -x "$deny" ] || deny=cargo-deny
  command -v "$deny" >/dev/null || cargo install --locked --quiet cargo-deny@0.20.2
  "$deny" --locked --log-level error check bans licenses sources
}

step_clippy() {
  step "clippy"
  cargo clippy --workspace --all-targets --locked -- -D warnings
}

step_doc() {
  step "documentation"
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
  step "end-to-end tests${chosen[*]:+: ${chosen[*]}}"
  run_e2e default "not test($long_name)"
}

step_long() {
  step "tests that take minutes${chosen[*]:+: ${chosen[*]}}"
  JETTRA_LONG=1 run_e2e long "test($long_name)"
  [ ${#chosen[@]} -eq 0 ] || return 0
  step "the worst calls on a cluster of release builds"
  cargo build --workspace --release --locked --quiet
  "$target/release/worst_case"
}

step_golden() {
  step "updating tests/golden"
  cargo build --workspace --locked --quiet
  UPDATE_GOLDEN=1 cargo test --workspace --locked --quiet --test documents
  git --no-pager diff --stat -- tests/golden
}

# The names of tests that take minutes, as nextest matches them.
long_name='/(^|::)long_/'

# Runs the end-to-end tests that were chosen and match the filter $2 of nextest, with profile $1 of
# tests/nextest.toml. The binaries are built as parts of the workspace, so that nothing is built
# again with other features.
run_e2e() {
  local profile=$1 filter=$2 nextest name program any selected=() targets=()
  cargo build --workspace --locked --quiet
  nextest=$(find_nextest)
  if [ -z "$nextest" ]; then
    run_e2e_without_nextest "$profile"
    return
  fi
  for name in "${chosen[@]}"; do
    program=${name%%::*}
    targets+=(--test "$program")
    case $name in
      *::*) selected+=("binary(=$program) & test(${name#*::})") ;;
      *) selected+=("binary(=$program)") ;;
    esac
  done
  [ ${#chosen[@]} -gt 0 ] || { targets=(--test '*') selected=("all()"); }
  printf -v any ' | (%s)' "${selected[@]}"
  # The tests wait for elections, time-outs and flushes more than they calculate.
  NEXTEST_TEST_THREADS=${NEXTEST_TEST_THREADS:-$(($(nproc) + 1))} "$nextest" nextest run \
    --config-file tests/nextest.toml --profile "$profile" --workspace --locked --cargo-quiet \
    "${targets[@]}" -E "(${any# | }) & $filter"
}

# The same one program after the other, with the test runner that Cargo has.
run_e2e_without_nextest() {
  local name program filter status=0
  for name in "${chosen[@]:-*}"; do
    program=${name%%::*} filter=
    [ "$name" = "$program" ] || filter=${name#*::}
    [ "$1" != long ] || filter=long_
    cargo test --workspace --locked --quiet --no-fail-fast --test "$program" -- "$filter" || status=1
  done
  return $status
}

# The path of cargo-nextest; nothing where there is none.
find_nextest() {
  local installed
  installed=$(tests/python/environment.sh)/cargo-nextest || true
  if [ -x "$installed" ]; then
    echo "$installed"
  else
    command -v cargo-nextest || true
  fi
}

steps=() chosen=()
for name in "$@"; do
  if [ "$name" = --help ] || [ "$name" = -h ]; then
    usage
    exit
  elif declare -F "step_$name" >/dev/null; then
    steps+=("$name")
  elif programs | grep -qxF -- "${name%%::*}"; then
    chosen+=("$name")
  else
    printf 'tests/check.sh: no step and no program of end-to-end tests is called %s\n\n' "$name" >&2
    usage >&2
    exit 2
  fi
done
if [ ${#chosen[@]} -gt 0 ]; then
  [[ " ${steps[*]} " =~ " e2e "|" long " ]] || steps+=(e2e)
elif [ ${#steps[@]} -eq 0 ]; then
  steps=("${ordinary[@]}")
fi
for name in "${steps[@]}"; do
  began=$SECONDS
  "step_$name"
  echo "-- $name: $((SECONDS - began)) s"
done
echo "-- all: $SECONDS s"
