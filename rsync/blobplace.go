package rsync

// BlobDir returns the directory in which this host keeps what [PutBlob] brings, and makes it. The error tells what is wrong with each place
// that was tried.
func BlobDir() (string, error) {
	s, err := openBlobs(blobDirs())
	if err != nil {
		return "", err
	}
	return s.dir, s.root.Close()
}

// BlobDirs returns every directory in which this host may have blobs.
func BlobDirs() []string { return blobDirs() }

// NoExec reports whether programs cannot be started from a directory, as far as its file system says so.
func NoExec(dir string) bool { return noExec(dir) }

// A target DIR is locked by the file LockName in the directory beside it whose name is .DIR and SideSuffix.
const (
	SideSuffix = ".xdist-sync"
	LockName   = lockFile
)
