#!/bin/sh
# Makes the agents that a release carries, xdist-GOOS-GOARCH, into a directory: package agents finds them beside the executable and in
# ../libexec/xdist. Agents for other platforms are compiled when they are needed.
set -eu
cd "$(dirname "$0")/.."
to=${1:?a directory}
rm -rf "$to"
mkdir -p "$to"
for platform in linux/amd64 linux/arm64 darwin/arm64 windows/amd64; do
	os=${platform%/*} arch=${platform#*/} exe=
	if [ "$os" = windows ]; then exe=.exe; fi
	CGO_ENABLED=0 GOOS=$os GOARCH=$arch "${GO:-go}" build -trimpath -ldflags='-s -w' -tags=xdist_agent -o "$to/xdist-$os-$arch$exe" ./cmd/xdist
done
