package event

// Verification is what became of a failed item when it ran again by Config.VerifyFailures. A verdict of "" is not known: the process did not come to it.
type Verification struct {
	ID       string // as NotRunItem has it
	Package  string // import path
	Test     string
	Platform string
	Key      string  // digest of the package's binary
	Split    bool    // it failed in a process that did not run all of its package
	Batch    Verdict // its verdict in the run
	Alone    Verdict // with nothing else in its process
	Whole    Verdict // with its whole package in one process, as `go test` runs it
}

// SplitOnly reports whether the item fails when its package is split and not as `go test` runs it.
func (v Verification) SplitOnly() bool {
	return v.Split && (v.Whole == Pass || v.Whole == Skip)
}
