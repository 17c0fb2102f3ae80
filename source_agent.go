//go:build xdist_agent

package xdist

import "io/fs"

// Sources returns nil: an agent compiles no others.
func Sources() fs.FS { return nil }
