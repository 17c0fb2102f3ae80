package programs

import "os"

// isMine reports whether there is a directory. The folder that it is in belongs to the user.
func isMine(dir string) bool {
	info, err := os.Lstat(dir)
	return err == nil && info.IsDir()
}
