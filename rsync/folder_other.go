//go:build !unix || aix || solaris

package rsync

import "errors"

// quick is nothing where files are put into directories by their paths only.
type quick struct{}

func (quick) close() {}

func (*folder) put(string, *entry, bool, []byte) (fileStat, error) {
	return fileStat{}, errors.ErrUnsupported
}
