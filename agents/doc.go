// Package agents finds or makes the xdist executable for a platform, to be sent to a host or run
// under an emulator.
//
// A Maker takes the first of these:
//
//   - the running executable, when the platform is its own and it needs no shared libraries of its
//     host;
//   - an executable called xdist-GOOS-GOARCH (with .exe for Windows) that a release has put beside
//     it, or into ../libexec/xdist;
//   - one that it compiled before from the same sources with the same Go;
//   - a new one, compiled by the go command on PATH from the sources that are embedded in the
//     running executable;
//   - the running executable after all, when the platform is its own and nothing can be compiled.
//
// Compiled agents are kept in a directory, with a stamp beside each that holds its digest, so that
// asking again costs two calls of stat. An agent is written under another name and renamed, so that
// two xdists may share the directory. Those that nobody has used for a month are removed when
// another one is compiled.
//
// Self is for programs other than xdist: it gives the running program, or test binary, compiled for
// other platforms from the directory of its package, with the settings that it was built with. What
// was compiled for an executable it is given again, as long as it is kept.
//
// A Maker has no goroutines. Its callers wait for each other where they want the same platform; a
// ctx that ends wakes its caller and interrupts the go command.
//
// Limits: agents are compiled without cgo, for the oldest processors of their architecture that Go
// has a setting for. What the go command needs from the network (modules that are not in the user's
// module cache, a toolchain) it gets as the user has set it up.
package agents
