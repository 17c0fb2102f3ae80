// Package test2json converts the output of one test binary, as it arrives, to the events that
// `go test -json` makes of it.
//
// The nouns, in the order you meet them: an [Event] is one line of `go test -json`; a [Converter]
// takes the bytes that a binary run with -test.v=test2json writes to its standard output and error,
// and hands on events; a framing line is one that the testing package writes to tell what happens
// ("=== RUN   TestX", "--- PASS: TestX (0.00s)", "PASS"), and begins with ^V where the binary knows
// that it is read by a program; a report is a "---" line, whose event waits until the lines that
// belong to it have come.
//
// The rules are those of cmd/internal/test2json of Go 1.26 (Copyright 2017 The Go Authors, BSD
// license), after which this package is written, since hosts that run test binaries need not have
// Go. It is held against the golden files of that package and against `go tool test2json` itself.
// Given the same sequence of writes, the events are the same, one for one, with these exceptions:
//
//   - A ^V that arrives first in a write right after "BenchmarkX\t" begins a framing line here.
//     cmd/test2json then takes it for text and loses the framing line. So the events here, with
//     neighbouring outputs of one test joined, do not depend on how the input was cut; there, they
//     do.
//   - An elapsed time that JSON has no number for ("(Infs)") is left out. cmd/test2json writes a
//     line that is not JSON.
//   - Names, keys, values and paths are made valid UTF-8 in the Event already, not only in its
//     JSON.
//
// A Converter starts no goroutines and cannot be cancelled: it does nothing but call the emit
// function from Write and Close. Its memory is bounded whatever the input is: a line of up to 4096
// bytes is looked at as a whole, a longer one arrives in parts and is never a framing line; the
// output of one event is at most 1024 bytes of input.
package test2json
