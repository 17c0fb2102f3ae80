package store

import "errors"

// limited and unprivileged have no test here: the limits and rights they need are those of Unix.
func limited(string) error { return errors.ErrUnsupported }

func unprivileged(string) error { return errors.ErrUnsupported }
