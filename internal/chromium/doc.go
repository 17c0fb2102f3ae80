// Package chromium drives pages in a real browser, for tests.
//
// A [Page] is one tab of a browser of its own, which ends with its test. The test fails for
// whatever the page says in the console, throws, or asks of another place than it came from.
//
// It is there on Linux alone, where a browser comes from a package of the distribution: to compile
// the driver takes as long as all else.
package chromium
