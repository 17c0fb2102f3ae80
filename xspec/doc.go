// Package xspec turns the text of an execution specification into a validated value.
//
// A Spec says where and how to start an agent: one transport (popen, ssh, socket, cmd, net,
// listen), the gateway to go through (via, installvia), which host of a network (host, label), and
// what to set up there (id, chdir, nice, env:NAME, go, goos, goarch, build, exec, key, insecure,
// compress, label:NAME). Its text is a list of fields separated by "//"; a field is a key, or a key
// and a value separated by the first "=". There are no escapes, so a value cannot hold "//":
//
//	popen
//	4*popen//env:GOGC=off
//	ssh=-p 22100 user@host//id=a//chdir=work//nice=5
//	user@host:22100//id=b
//	net=mynet//label=big
//	socket=192.168.102.2:8888//go=c:/go/bin/go//chdir=d:\hello
//
// A first field without "=" that holds an "@" is short for ssh=.
//
// Parse reads one text, Expand reads the texts of a command line, where "N*" and "auto*" multiply.
// Specs is a flag of such texts, and many of them in one. Each error is an *Error, which names the
// field and the whole text.
//
// The package is pure: it touches no network, file or environment variable, starts no goroutine,
// and there is nothing to cancel. All functions may be called concurrently.
//
// Limits: a Spec without a transport parses, because unknown keys may mean something to somebody
// else; opening a gateway from it is what fails. Hosts, addresses and directories are not looked
// at.
package xspec
