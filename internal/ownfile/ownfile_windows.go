package ownfile

// atOnce is nothing: there are no FIFOs among files.
const atOnce = 0

// CheckDir does nothing: a directory inherits from its parent who may write to it.
func CheckDir(string) error { return nil }
