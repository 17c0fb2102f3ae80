package ownfile

import "os"

// atOnce is nothing: there are no FIFOs among files.
const atOnce = 0

// CheckDir does nothing: a directory inherits from its parent who may write to it.
func CheckDir(string) error { return nil }

// CheckBelow does nothing, for the same reason.
func CheckBelow(string, ...string) error { return nil }

// checkAuthors does nothing, for the same reason.
func checkAuthors(*os.File, string) error { return nil }
