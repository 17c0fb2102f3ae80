package store

// FreeSpace returns the bytes that this user can still write to the file system of a directory.
func FreeSpace(dir string) (int64, error) { return free(dir) }
