package hosts

import "io/fs"

// isOurs leaves it to the system, which does not let anybody remove what is somebody else's.
func isOurs(fs.FileInfo) bool { return true }
