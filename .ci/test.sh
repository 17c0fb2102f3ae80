#!/bin/sh
# Runs every test of the project. What a test needs beyond Go and git is installed where that is allowed, and what has to be
# skipped is said with its reason.
set -eu
GO=${GO:-go}
race="-race -gcflags=compress/flate=-race=false -gcflags=golang.org/x/crypto/blowfish=-race=false"
PATH=$PATH:/usr/sbin:/sbin:/usr/lib/wine # where Debian has sshd, ip and wine64

# A command that tests use, the Debian package that has it, and what is skipped without it.
wanted() {
	cat <<-END
		gcc gcc the race detector and cgo
		sshd openssh-server everything over ssh
		ssh openssh-client cmd= through the ssh program
		rsync rsync the comparison with it
		busybox busybox its shell on the far side of ssh
		tcsh tcsh its shell on the far side of ssh
		fish fish its shell on the far side of ssh
		zsh zsh its shell on the far side of ssh
		python3 python3-minimal scripts in Python
		qemu-aarch64-static qemu-user-static platforms under qemu
		chromium chromium the HTML report in a browser
		xmllint libxml2-utils the schema of JUnit reports
		wine64 wine64 windows under wine
		x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64 windows under wine
	END
}

missing() { wanted | while read -r command package _; do command -v "$command" >/dev/null 2>&1 || echo "$package"; done | sort -u; }

packages=$(missing | tr '\n' ' ')
if [ -n "$packages" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing $packages"
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages libc6-dev; } >/dev/null 2>&1 || true
fi
wanted | while read -r command package what; do
	command -v "$command" >/dev/null 2>&1 || echo "skipped: $what, because there is no $command (Debian's $package) and it could not be installed"
done
case $(stat -c %A / 2>/dev/null) in
*x | *t | "") ;;
*) echo "the root directory is closed to other users, so that tests of several users will fail: chmod 755 / opens it" ;;
esac
# What looks whether everybody can read the HTML report is a package of npm, at the version that the lock file has.
axe=reporters/html/testdata/axe
[ -e $axe/node_modules ] || npm ci --silent --ignore-scripts --prefix $axe >/dev/null 2>&1 ||
	echo "skipped: whether everybody can read the HTML report, because npm is missing (Debian's npm) or cannot install axe-core"
command -v "$($GO env CC)" >/dev/null 2>&1 || race=

# Tests of integration and the test of source.go compile agents for other platforms, in the two processes below. With an empty build cache that is most
# of the standard library. Here it is compiled once and not by both beside each other, and not within the four minutes that integration gives a run.
for platform in linux/arm64 linux/s390x windows/amd64; do
	CGO_ENABLED=0 GOOS=${platform%/*} GOARCH=${platform#*/} "$GO" build -trimpath -buildvcs=false -tags=xdist_agent -o /dev/null ./cmd/xdist
done

# The race detector makes tests several times slower. So it looks at the packages that have goroutines, and not at others, which only
# compute or only start processes, nor at integration, whose command is a process of its own; nor at two libraries that start no goroutine:
# compress/flate packs agents for hosts, and a test with two uploads takes 7 s of processor time with the detector and 1 s without;
# blowfish, of keys with a passphrase, 7 s and 2 s.
# Tests of integration wait for processes and for the clock half of their time, so that others run beside them.
concurrent='/(agents|bench|cmd/xdist|gateway|gotest|gotest/store|gotest/unit|internal/(lockfile|netsock|programs|sshclient|strangers|turns)|network|reporters|reporters/ui|rsync|scheduler|scheduler/(hosts|worker))$'
status=0
others=$(mktemp)
trap 'rm -f "$others"' EXIT
"$GO" test $race -count=1 -timeout=40m $("$GO" list ./... | grep -E "$concurrent") >"$others" 2>&1 &
beside=$!
trap 'kill $beside 2>/dev/null; exit 130' INT TERM
"$GO" test -count=1 -timeout=40m -parallel=4 ./integration/... || status=1
"$GO" test -count=1 -timeout=40m $("$GO" list ./... | grep -v /integration | grep -vE "$concurrent") || status=1
wait $beside || status=1
cat "$others"
exit $status
