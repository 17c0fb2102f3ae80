//go:build !xdist_agent

// Package xdist holds the sources of the xdist command, from which a running one compiles agents
// for other platforms.
package xdist

import (
	"embed"
	"io/fs"
)

// sources are the files of every package that the command is made of, on all platforms, without
// tests: a pattern cannot leave _test.go out, so each line takes names by their last letters. A
// test holds the list against the go command's.
//
//go:embed go.mod go.sum source.go source_agent.go
//go:embed agents/*[^t].go cmd/xdist/*[^t].go config/*[^t].go gateway/*[^t].go gateway/*/*[^t].go gotest/*[^t].go gotest/*/*[^t].go history/*[^t].go internal/*/*[^t].go merge/*[^t].go network/*[^t].go reporters/*[^t].go reporters/*/*[^t].go rsync/*[^t].go scheduler/*[^t].go scheduler/*/*[^t].go shard/*[^t].go xspec/*[^t].go
//go:embed cmd/xdist/*[^s]t.go gateway/*[^s]t.go gotest/*/*[^s]t.go history/*[^s]t.go internal/*/*[^s]t.go reporters/*[^s]t.go reporters/*/*[^s]t.go rsync/*[^s]t.go scheduler/*[^s]t.go scheduler/*/*[^s]t.go shard/*[^s]t.go
//go:embed gotest/*[^e]st.go internal/*/*[^e]st.go rsync/*[^e]st.go scheduler/*/*[^e]st.go
//go:embed agents/*[^t]est.go gotest/*[^t]est.go gotest/*/*[^t]est.go reporters/*[^t]est.go rsync/*[^t]est.go scheduler/*[^t]est.go
//go:embed gateway/*.py reporters/html/*.css reporters/html/*.html reporters/html/*.js
var sources embed.FS

// Sources returns the module's files: go.mod, go.sum, and the packages of cmd/xdist without their
// tests. It is nil in an agent.
func Sources() fs.FS { return sources }
