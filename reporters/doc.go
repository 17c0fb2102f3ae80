// Package reporters turns the events of a run into what people and tools read.
//
// A event.Reporter gets every event.Event in order, from one goroutine, and has dealt with it when
// Handle returns: a slow terminal or disk is back-pressure on the run, not a queue. No reporter
// changes an event or talks to a node.
//
//   - Console writes xdist's own format (digest): a line per package, failures as they happen with
//     their output, and one account at the end (account). Or it writes one of gotestsum's formats,
//     gotestsum's summary, and closing lines about what gotestsum does not know. On a terminal it
//     keeps a live status below the output, a line for each busy gateway. A failure that is to be
//     confirmed has a line there, in xdist's own format and in those that name tests.
//   - JUnit keeps the outcomes and writes one XML file at the end.
//   - JSON writes the stream that `go test -json` would have written, and a Trailer behind that of
//     a shard. Regular files have it, and that of Events, a moment late.
//   - Events writes all that happens, in a form of its own (docs/events.md).
//   - Durations lists the slowest items at the end.
//   - History adds what the run teaches to a history.Book.
//   - Notices writes what belongs to no test, where no Console does.
//   - Multi hands each event to several reporters in turn.
//
// Package failure finds where and why a test failed, once for all who tell of it. Package ci tells
// CI services, package html writes a page for a browser, package timeline finds what ran where and
// when, package trace writes that for trace viewers, and package outputs keeps what tests print.
// The corpus in testdata holds all of them to recorded runs: see corpus_test.go.
//
// # Goroutines
//
// Console owns the goroutine in which testjson scans in gotestsum's formats (see scan) and, on a
// terminal, the one that redraws the status. Both are joined when RunEnded has been handled,
// or by Close if there was none. The timer with which JSON and Events write regular files late has
// one for each write (see lateFile). The other reporters have none.
//
// # Cancellation
//
// There is none: a reporter lives as long as its run, and what it writes is what the run did until
// it ended. Writers that block for ever block Handle for ever.
//
// # Limits
//
//   - testjson decides on colours through a variable of github.com/fatih/color, which is one per
//     process, and finds the module prefix that it cuts from package paths in the working directory
//     at the start of the process. Two Consoles in one process share both.
//   - testjson keeps the output of running and failed tests. Console hands it at most 4 MiB for
//     each test and each package; the formats that stream (standard-verbose, standard-quiet) still
//     write all of it.
//   - JUnit keeps the output of running and failed tests, at most JUnitConfig.OutputLimit of each.
//   - Where the width of a character is in doubt (wide scripts, emoji), the status waits for
//     the next line.
package reporters
