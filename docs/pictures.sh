#!/bin/sh
# Makes the pictures of the documentation anew: the HTML report of examples/tour in Chromium, light, dark and narrow.
set -eu
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/xdist" ./cmd/xdist
export XDIST_CACHE="$tmp/cache"
for _ in 1 2; do # the second run knows the first
	"$tmp/xdist" -C examples/tour --tx 3*popen --reruns 1 --html "$tmp/report.html" ./... || [ $? = 1 ]
done
picture() {
	name=$1 size=$2
	shift 2
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size="$size" --screenshot="docs/$name.png" "$@" "file://$tmp/report.html" 2>/dev/null
}
picture report-light 1000,1000
picture report-dark 1000,1000 --blink-settings=preferredColorScheme=0
picture report-narrow 420,1000
