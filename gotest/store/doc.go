// Package store keeps test binaries and small records on disk, by content and by key, within a
// bound.
//
// The nouns, in the order you meet them: a [Store] is a directory; a [Digest] is the SHA-256 of a
// binary and its name in the store; a record is a small value under a key, such as the digest of
// the binary that a package was linked to; a [Run] is one user's claim on binaries, with a
// directory in which they have the names that they are executed by; pruning removes what was used
// least recently until the store is within its bound.
//
// Everything is plain files:
//
//	_bin/ab/<digest>-<size>    a binary; the size tells a truncated one
//	_rec/ab/<hash of key>      a record, with its key, length and hash
//	_runs/<id>.lock            locked for as long as the process that made the run lives
//	_runs/<id>/<digest>/<name> a hard link to a binary, or a copy
//	_tmp/                      files on their way into _bin and _rec
//	prune.lock                locked while somebody prunes
//
// A file gets its name in _bin and _rec by a rename of a complete file, so a crash leaves nothing
// worse than a file in _tmp or a run whose lock is free; both are removed by a later prune. Nothing
// is flushed to disk: what a loss of power leaves behind has the wrong size or hash. The size
// is always looked at; a hash is compared when a process does not start, and once a day.
//
// A run's directory lies here under a lock, so that the next run removes what a killed one left.
//
// Use is recorded in the modification time. Since a run has links of its own, a binary that is
// being executed does not depend on its name in _bin, and a prune by another process does no harm
// even if it overtakes the making of a run. A prune leaves binaries of live runs alone all the
// same: removing them would free nothing.
//
// The package starts no goroutines. All methods may be called concurrently, and by any number of
// processes on one directory. Methods that read or write whole binaries or walk the directory take
// a ctx.
//
// Limits: a binary whose content was changed without changing its size is noticed only by
// [Run.Check], which reads it. A binary put with [Link] shares its content with the file that it
// was made from, which must not be written to afterwards. Where a file system has no locks, a run
// counts as live for [staleAfter]. On Windows an executable that is running cannot be removed; a
// prune passes it over.
package store
