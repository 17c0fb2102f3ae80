// Package merge makes one account of the reports that several jobs have written about the parts of
// one suite.
//
// The nouns, in the order you meet them: a [File] is a report, of a [Kind] that [Read] finds by its
// content; [Events] puts the events of several jobs into the stream that one job would have
// written, with one start and one end for each package, and [Replay] hands that to reporters as a
// run is handed to them. JUnit reports are merged by package reporters, cover profiles by package
// cover.
//
// A test that two jobs have run is an error that names both: the sum would be wrong. [Whole] finds
// the parts of a sharded run that are missing, by the trailers that xdist writes at the end of such
// reports: a last line of Action "shard" without a Package, or properties in JUnit. Jobs that know
// nothing of each other cannot miss one, and merge can.
//
// Nothing here starts a goroutine or can be cancelled. Files are read whole.
//
// Limits: what a job has not written down cannot be known. A job that has no report is not missed
// among reports without trailers, as those of go test are, and no cover profile is. An item that
// did not run is named in JUnit reports only.
package merge
