// Package reporters turns the events of a run into what people and tools read.
//
// A event.Reporter gets every event.Event in order, from one goroutine, and has dealt with it when
// Handle returns: a slow terminal or disk is back-pressure on the run, not a queue. No reporter
// changes an event or talks to a node.
//
//   - Console writes one of gotestsum's formats, gotestsum's summary, and closing lines about what
//     gotestsum does not know: items that did not run, crashes, an account that does not add up. On
//     a terminal it keeps one live status line below the output. A failure that is to be confirmed
//     has a line there, and in the formats that name tests.
//   - JUnit keeps the outcomes and writes one XML file at the end.
//   - JSON writes the stream that `go test -json` would have written, and a Trailer behind that of
//     a shard.
//   - Durations lists the slowest items at the end.
//   - History adds what the run teaches to a history.Book.
//   - Notices writes what belongs to no test, where no Console does.
//   - Multi hands each event to several reporters in turn.
//
// # Goroutines
//
// Console owns the goroutine in which testjson scans (see scan) and, on a terminal, the one that
// redraws the status line. Both are joined when RunEnded has been handled, or by Close if there was
// none. The other reporters have none.
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
//   - Where the width of a character is in doubt (wide scripts, emoji), the status line waits for
//     the next line.
package reporters
