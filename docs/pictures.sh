#!/bin/sh
# Makes the pictures of the documentation anew: what examples/tour shows on a terminal, in README.md, and
# its HTML report in Chromium, light, dark and narrow.
set -eu
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/xdist" ./cmd/xdist
export XDIST_CACHE="$tmp/cache" NO_COLOR=1
tour() { "$tmp/xdist" -C examples/tour --reruns 1 --html report.html "$@" ./... || [ $? = 1 ]; }
tour --tx '2*popen' >"$tmp/first"
tour --tx '2*popen' >"$tmp/second" # knows the first
awk -v picture="$tmp/second" '
	/^<!-- made by docs\/pictures.sh -->$/ { print; getline; print; while ((getline line < picture) > 0) print line; inside = 1; next }
	inside && /^```$/ { inside = 0 }
	!inside
' README.md >"$tmp/README.md"
cp "$tmp/README.md" README.md
tour --tx '3*popen' >/dev/null
mv report.html "$tmp/report.html"
picture() {
	name=$1 size=$2
	shift 2
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size="$size" --screenshot="docs/$name.png" "$@" "file://$tmp/report.html" 2>/dev/null
}
picture report-light 1000,1250
picture report-dark 1000,1250 --blink-settings=preferredColorScheme=0
picture report-narrow 420,1250
