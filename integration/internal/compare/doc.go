// Package compare says in what two `go test -json` streams of the same tests differ.
//
// A Model is what a stream says: per package and test the outcomes, the actions and the output
// attributed to it, and per build its compiler output. Compare holds a Model that is under test
// (got) against the one of `go test` (want) to a Depth, and returns each Difference. A Normal takes
// out of the output what no two runs share: elapsed times, addresses, goroutine numbers,
// directories for temporary files.
//
// What may differ is written down in rules.go, one function per rule, and nothing else may.
//
// Nothing here starts a goroutine or a process. All of a stream is held in memory, so that streams
// of some 100 MB are the limit. Two outputs that differ only in a figure of a benchmark or inside
// of a goroutine dump are equal here.
package compare
