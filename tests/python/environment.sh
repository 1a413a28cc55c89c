#!/usr/bin/env bash
# Makes the virtual environment with the packages of requirements.txt, unless it is there as it
# should be, and prints the folder of its programs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
environment=${CARGO_TARGET_DIR:-$here/../../target}/python

if ! cmp -s "$here/requirements.txt" "$environment/requirements.txt"; then
  rm -rf "$environment"
  python3 -m venv "$environment" >&2
  "$environment/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2
  # Last, so that one that was interrupted is made again.
  cp "$here/requirements.txt" "$environment/"
fi
echo "$environment/bin"
