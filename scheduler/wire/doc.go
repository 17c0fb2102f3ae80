// Package wire is what a controller and its agents say to each other about tests, in both
// directions.
//
// The nouns, in the order you meet them: under [WorkerHandler] an agent gets [Args] and then one
// [Assignment] after the other, which holds an [Order], and answers with [Report]s; under
// [HostHandler] it answers [HostArgs] with a [HostReport], and under [CleanHandler] [CleanOptions]
// with [Leftovers]; under [BuildHandler] it gets [BuildArgs] and answers with [BuildReport]s, the
// last of which has a [BuildEnd].
//
// Everything here is a value: there are no goroutines, and nothing to cancel. Fields are numbered,
// so that a name may change; a number never gets another meaning.
//
// Limits: controller and agent are of one version most often, but not always: what an older one
// does not know is ignored there, and its answers lack it.
package wire
