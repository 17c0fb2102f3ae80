package gateway

import "errors"

// addNice fails: Windows has no niceness.
func addNice(int) error { return errors.ErrUnsupported }

// niceness returns 0.
func niceness() int { return 0 }
