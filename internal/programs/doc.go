// Package programs keeps executables that others have sent, by their digests, so that each has to
// come once. They are where the shell that becomes an agent keeps agents (package gateway), so that
// one that came by ssh is there for a socket, and what cleans a host up finds all of them.
//
// A place is a directory of this user's alone, such as ~/.cache/xdist, and a program in it is
// agents/DIGEST/xdist. A program has its name only when its size and its digest are right. Who runs
// one holds a share in a lock beside it, and what nobody runs is removed when there is too much,
// the least recently used first.
//
// Limits: on Windows it does not see who may write to a directory. Where a file system has no locks
// a program may be removed while it runs, which only matters to one that starts itself again.
package programs
