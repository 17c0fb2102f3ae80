package hosts

// checkPrivate does nothing: a directory inherits from its parent who may enter it.
func checkPrivate(string) error { return nil }
