#!/usr/bin/env bash
# Every check of the project: formatting, clippy, docs, unit, end-to-end and browser tests.
# Installs what it needs beyond Rust and a C compiler: Chromium and its driver for the browser
# test, the real data of the iso-codes package, Node.js for the differential test and Python for
# Schemathesis and cargo-deny, which fetch their packages by themselves. Needs root (or sudo) for
# that only.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

missing=()
command -v cc >/dev/null || missing+=(build-essential)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
[ -x /usr/bin/chromium ] || missing+=(chromium)
[ -x /usr/bin/chromedriver ] || missing+=(chromium-driver)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
[ -d /usr/share/iso-codes/json ] || missing+=(iso-codes)
if [ ${#missing[@]} -gt 0 ]; then
  step "installing ${missing[*]}"
  sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

step "formatting"
cargo fmt --all -- --check
step "licences, bans and sources of what is built in"
python=$(tests/python/environment.sh)
deny=$python/cargo-deny
# There is no such package for every kind of machine.
[ -x "$deny" ] || deny=cargo-deny
command -v "$deny" >/dev/null || cargo install --locked --quiet cargo-deny@0.20.2
"$deny" --locked --log-level error check bans licenses sources
step "clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings
step "docs"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
step "building the programs under test"
cargo build --workspace --locked --quiet
step "tests"
cargo test --workspace --locked
