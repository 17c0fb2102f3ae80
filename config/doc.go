// Package config reads xdist's configuration file, which asks for tests what their authors could
// have asked for in directives, and gives flags other defaults.
//
// The nouns, in the order you meet them: a [File] is a configuration, read by [Load], or found by
// [Find] and read by [LoadFound], which is careful about who has written it; a [Rule] is a pattern
// of test ids with what it asks for the tests that match, as [gotest.Directives]; [File.Resolve]
// gives every test of a collection all that is asked for it, by the file and by itself.
//
//	[run]
//	tx = ["4*popen"]
//
//	[resources]
//	db = 2
//
//	[[tests]]
//	match = "example.com/m/store/...::TestDB.*"
//	resource = "db"
//	timeout = "2m"
//
//	[networks.mynet]
//	tx = ["ssh=b1//id=b1", "ssh=b2//label:big"]
//
// Every key that means nothing is an error with its line: a setting that did nothing would be
// noticed by a flaky test at best. That is why the parser is pelletier/go-toml, which gives the
// positions of unknown keys. What tests ask for is put into the collection
// (gotest.LoadConfig.Select) before anybody sees it, together with the directives of the sources.
//
// Nothing here starts a goroutine or can be cancelled. A File is not changed once it is loaded;
// concurrent readers are fine.
//
// Limits: the file is read whole. Nothing is inherited from other files.
package config
