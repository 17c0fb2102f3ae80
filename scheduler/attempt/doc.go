// Package attempt says which attempt at a test counts, and how the next one is made.
//
// go test runs a package in one process. xdist may run it in several, beside other packages, on a
// host with more processes than processors. A test can fail, skip or pass for that reason alone. So
// what a process says of a test is a verdict only where nothing is left to doubt; else the test
// runs again, nearer to the way in which go test runs it, and what it did before is forgotten.
//
// The nouns, in the order you meet them: an [Attempt] says what runs around a test and before it in
// its process; [Seen] is what became of one; [Facts] are what is known of the test, its package and
// the run; a [Case] is a test whose verdict is open; a [Decision] is a verdict or the next attempt.
// [Rules] are the table that decides: the first row that fits.
//
// # Goroutines, cancellation, time
//
// None: a Case is a value, and Add a pure function of what it is given. Copying a Case and asking
// the copy tells what would be decided.
//
// # Limits
//
// A test that depends on others which ran in other processes, in a package that takes long, is not
// found out: see [Spare]. Subtests that skip are believed in a test that takes long and that no
// earlier run knows. A pass is believed unless the history or the process gives a reason.
package attempt
