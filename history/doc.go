// Package history remembers what earlier runs of a module taught: how long its tests take, which of
// them are flaky, what a process of a package costs, how fast the hosts are, and what was run
// where.
//
// The nouns, in the order you meet them: a [Book] is what is known of one module, read in one go
// from a file; a test has a path, "TestX" or "TestX/a/b", and a platform; an observation is what
// one run saw of a test, its duration and verdict; [Known] is the estimate that the observations
// give; a [Lesson] is what a run found out about splitting, and holds until the package changes; a
// [Run] is what one run adds; [Timings] are observations from elsewhere, such as a log of go test
// -json.
//
// # Estimates
//
// Of each test the last [keptObservations] observations are kept. Its cost is their weighted
// median, the newest weighing most: an outlier does not move it, and three runs in a row at another
// level do. Passes and skips teach durations; a failure does where there is nothing else, a crash
// never. A test that is unknown on one platform takes its cost from another. Durations are those of
// a host of speed 1: what a faster host measured is multiplied by its speed, which is found by
// comparing what it ran with what was known of it.
//
// What was seen under conditions that change the cost, such as -race and -short, is kept apart:
// they are in the names of the platforms. A test that is unknown under them takes its cost from the
// rest. A test whose subtests are parallel counts until they have ended, which package testing does
// not.
//
// # The file
//
// One bbolt file per module path. It is never held open: Open reads and closes, Record opens,
// merges, and closes, so that runs at the same time add to each other's; the wait for the other's
// lock is bounded. Every value has a checksum. A file that cannot be read is renamed to *.damaged,
// and a new one begins. What was not seen for half a year goes, as do subtests whose name does not
// come back.
//
// # Goroutines, cancellation
//
// None. All methods of a Book may be called concurrently.
//
// # Limits
//
//   - Durations are go test's, in hundredths of a second, made finer by the times of the events
//     where these agree.
//   - A module is known by its path: two checkouts of one share a file.
//   - What changes the cost of a test beside -race, -short, -msan and -asan, such as -count, is not
//     told apart.
//   - bbolt gives no space back: a file stays as large as it once was, at most [maxFile].
package history
