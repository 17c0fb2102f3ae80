// Command bench holds xdist next to its peers and prints by how much it is better or worse. sh
// bench/run.sh builds what it needs and starts it; README.md tells how to read what it prints.
//
// A part is one of the things that are measured; a part compares the peer (go test, execnet) with
// ours, in turns and on the same machine, so that what else the machine does falls on both. What
// was measured is a sample, of which the median counts. A limit is what the ratio of two medians is
// held to; a limit that is missed ends the command with status 1, a measurement that could not be
// made with 2.
//
// There is one goroutine at a time that measures; no other work is done meanwhile. An interrupt
// ends the command that runs, and the benchmark with it; temporary directories are removed.
//
// Limits: figures taken while others use the machine are not worth much, ratios of them somewhat
// more. The peak of the controller's memory is sampled and can be read on Linux only.
package main
