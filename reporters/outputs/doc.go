// Package outputs keeps what the tests of the last runs have printed, those that passed too, and
// finds it again: xdist show.
//
// The nouns: a Store is a directory with a file for each run; a Keeper is the reporter that writes
// one; a Run is one that was kept; a Record is what an attempt at a test has printed, or what of
// its package belongs to no test.
//
// A file is lines of JSON, compressed with zstd: a Run, then Records as they ended. A Keeper holds
// the compressed lines in memory and writes the file in one step when the run has ended, so that a
// run that was killed leaves nothing behind.
//
// # Goroutines, limits
//
// There are none. A record has at most recordKept bytes of output and of what names its pieces; the
// middle of a longer one is left out. When the lines of a run have runKept bytes compressed,
// outputs of tests that pass are dropped from then on, and at twice that all. A Store has the last
// runsKept runs of each module, and storeKept bytes of all. A file with more than readLimit bytes
// of lines is not read.
package outputs
