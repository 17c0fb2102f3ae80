// Package diskspace tells how much a file system still takes, whether programs can be started from
// it, and errors that say that it takes no more from others.
package diskspace
