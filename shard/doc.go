// Package shard divides a collection of tests into parts for jobs that know nothing of each other,
// as in CI.
//
// [Divide] is the same in every job that has the same collection and the same timings: the parts
// are disjoint, and together they are the collection. What has to stay together does: a package
// that runs in one process or whose tests need each other, and the tests of a group. With timings
// the parts last about equally long, and no package is spread further than that takes, because
// every job that has a part of one has to build it. Without timings a hash decides, so that a test
// that is added moves few others.
//
// With timings packages go into pieces of the even share, then of half of it and so on, until the
// longest part is within 2 % of what is possible. Without timings a hash with bounded loads
// decides. A package's process runs the names of its part. A test that only the binary has goes
// with the first test of its package, so that exactly one job has it.
//
// Nothing here starts a goroutine, can be cancelled or reads anything.
//
// Limits: resources are not shared between jobs, and neither is a cost of building known here.
package shard
