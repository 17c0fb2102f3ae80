#!/bin/sh
# Makes the manual page and the completions that a release carries into a directory.
set -eu
cd "$(dirname "$0")/.."
to=${1:?a directory}
rm -rf "$to"
mkdir -p "$to"
"${GO:-go}" build -o "$to/xdist" ./cmd/xdist
"$to/xdist" man >"$to/xdist.1"
for shell in bash zsh fish; do "$to/xdist" completion $shell >"$to/xdist.$shell"; done
rm "$to/xdist"
