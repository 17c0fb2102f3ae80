// Package cover puts the coverage of a Go package together whose tests ran in several processes, so
// that profile and percentage are those of one process.
//
// The nouns, in the order you meet them: a [Profile] is the text that a test binary writes to its
// -test.coverprofile; a [Block] is one line of it, a range of source with the number of statements
// in it and how often they ran; a [Mode] says what is counted. [Parse] reads a profile, [Merge] and
// [MergeSplit] make one of the profiles of one package, [Profile.Summary] is the "coverage:" line
// that the testing package prints for it, and a [Writer] writes the file that the user asked for
// with -coverprofile, as the go command does: one header, then one package after the other.
//
// Many profiles are kept in a [Table]. An [Intake] reads one as its text comes, from a process that
// need not be trusted, and what it has for itself are its [Counts]: a few bytes for each hundred
// blocks. [MergeCounts] is Merge and MergeSplit for them.
//
// Nothing here starts a goroutine or can be cancelled. Memory grows with the profiles given, never
// with what they claim; a profile that is malformed or cut off is an error that names the line.
//
// What merging cannot give back:
//
//   - Code that runs besides the tests (package initialisation, TestMain) runs once in every
//     process. MergeSplit counts it once, by what a process counts that runs no tests. What tests
//     set up for each other, as with sync.Once, counts once for each process that did so. So does
//     what a process does only when it runs tests, and all of it after Merge. In the mode set, and
//     in percentages, nothing changes.
//   - A process that is killed writes no profile: what only it ran counts as not run.
//   - The order is that of the profiles, which for one binary is always the same: by import path,
//     file and line. Blocks that only a later profile has come after the others of their file.
//   - A range that is several blocks of one profile (//line directives make such) is merged block
//     by block where all profiles have the same blocks, and into the first of them otherwise.
package cover
