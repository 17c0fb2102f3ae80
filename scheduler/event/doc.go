// Package event is what a run says of itself: the only interface between the controller and those
// who report.
//
// The nouns, in the order you meet them: an [Event] is one step of a run; a [Reporter] receives all
// of them, from [RunStarted] to [RunEnded]; a [Verdict] is what became of one item, a top-level
// test, fuzz target or example; the [Summary] is the account at the end.
//
// "Config" in the comments is the Config of package scheduler.
//
// # Goroutines and cancellation
//
// There are none here. The controller makes the events in one linear order, and calls a Reporter
// from one goroutine.
//
// # Limits
//
// An event is a value that shares its slices and maps with whoever made it: a Reporter reads them
// only. Events have no encoding of their own: what leaves the process is a reporter's business.
package event
