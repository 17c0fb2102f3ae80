#!/bin/sh
# Runs every test of the project. What a test needs beyond Go and git is installed where that is allowed, and what has to be
# skipped is said with its reason.
set -eu
GO=${GO:-go}
race=-race

# The race detector and the cgo fixture need a C compiler.
if ! command -v "$($GO env CC)" >/dev/null 2>&1; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		echo "installing gcc for the race detector and the cgo fixture"
		apt-get update -qq && apt-get install -y -qq gcc libc6-dev >/dev/null || true
	fi
fi
if ! command -v "$($GO env CC)" >/dev/null 2>&1; then
	echo "skipped: the race detector and cgo, because there is no C compiler ($($GO env CC)) and none could be installed"
	race=
fi
# The longest package goes first, so that the others run beside it.
exec "$GO" test $race -count=1 -timeout=20m ./integration ./...
