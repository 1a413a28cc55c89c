#!/bin/sh
# Replaces vendor/lit-html.js and its licence by those of the npm package.
# Usage: web/vendor/update.sh [version]
set -eu
version="${1:-3.3.3}"
here="$(cd "$(dirname "$0")" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

cd "$work"
npm pack --silent "lit-html@$version" >/dev/null
tar xzf "lit-html-$version.tgz"
# The source map is not vendored, so the browser must not be told to fetch it.
grep -v '^//# sourceMappingURL=' package/lit-html.js >"$here/lit-html.js"
cp package/LICENSE "$here/lit-html.LICENSE"
echo "vendor/lit-html.js is lit-html $version"
