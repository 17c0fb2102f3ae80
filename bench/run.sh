#!/bin/sh
# Builds xdist and the benchmark into a temporary directory and runs it: sh bench/run.sh [-only PARTS] [-runs N] [-v].
# It ends with status 1 when a limit is missed. README.md beside it tells how to read the tables.
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go}
PYTHON=${PYTHON:-/usr/bin/python3}

# Gateways are compared with execnet's, as Debian has it.
if ! "$PYTHON" -c 'import execnet' 2>/dev/null; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		echo "installing python3-execnet"
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-execnet; } >/dev/null 2>&1 ||
			echo "python3-execnet could not be installed; the comparison with it will be skipped"
	else
		echo "python3-execnet is missing and only root can install it with apt-get; the comparison with it will be skipped"
	fi
fi

# Trees and ssh gateways are compared with Debian's rsync and OpenSSH.
if ! { command -v rsync && command -v ssh-keygen && [ -x /usr/sbin/sshd ]; } >/dev/null 2>&1; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		echo "installing rsync, openssh-client, openssh-server"
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends rsync openssh-client openssh-server; } >/dev/null 2>&1 ||
			echo "rsync and OpenSSH could not be installed; the comparison with them will be skipped"
	else
		echo "rsync or OpenSSH is missing and only root can install them with apt-get; the comparison with them will be skipped"
	fi
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# An interrupt reaches the benchmark too, which cleans up and ends.
trap : INT TERM
"$GO" build -o "$tmp/xdist" ./cmd/xdist
"$GO" build -o "$tmp/bench" ./bench
status=0
"$tmp/bench" -xdist "$tmp/xdist" -python "$PYTHON" "$@" || status=$?
exit $status
