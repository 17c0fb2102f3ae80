//go:build !xdist_agent

// Package xdist holds the sources of the xdist command, from which a running one compiles agents
// for other platforms.
package xdist

import (
	"embed"
	"io/fs"
)

// sources are the files of every package that the command is made of, on all platforms. A test
// holds the list against the go command's.
//
//go:embed go.mod go.sum *.go
//go:embed agents/*.go cmd/xdist/*.go config/*.go gateway/*.go gateway/*.py gateway/*/*.go gotest/*.go gotest/*/*.go history/*.go internal/*/*.go merge/*.go network/*.go reporters/*.go reporters/*/*.go reporters/html/*.css reporters/html/*.html reporters/html/*.js rsync/*.go scheduler/*.go scheduler/*/*.go shard/*.go xspec/*.go
var sources embed.FS

// Sources returns the module's files: go.mod, go.sum, and the packages of cmd/xdist with their
// tests. It is nil in an agent.
func Sources() fs.FS { return sources }
