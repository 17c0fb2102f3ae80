// Package procgroup ends processes together with all that they have started.
//
// A [Group] is a process group on Unix, and a job object on Windows. Its leader is started with the
// attributes of [Own], [Bound] or [Session], and then becomes a Group by [Adopt].
//
// Limits: on Unix what has made a group of its own escapes. On Windows what the leader starts
// before Adopt does.
package procgroup
