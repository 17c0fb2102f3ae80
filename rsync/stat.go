package rsync

import (
	"io/fs"
	"time"
)

// fileStat is what the system tells of a file, enough to see whether anybody has touched it since.
// It is comparable.
type fileStat struct {
	mode  uint32 // the twelve bits of Unix
	size  int64  // of regular files
	mtime int64  // nanoseconds since 1970
	ctime int64  // when the system says that the file was changed last, which a user cannot set; 0 where it does not say
	inode uint64 // 0 where there is none
}

// tick is by how much a change has to be older than a look at the file, so that a later change is
// sure to have another ctime. Systems count in steps of up to 10 ms; a network's file server may
// have a clock of its own, but then a change looks fresh or old as a whole.
const tick = 20 * time.Millisecond

// settled reports whether every later change will show, when the file was looked at at the time
// now.
func (s fileStat) settled(now time.Time) bool {
	return s.ctime != 0 && s.ctime < now.Add(-tick).UnixNano()
}

// statOf takes the stat of a file, link or directory from info. Of what is neither a file nor a
// link it keeps the mode only.
func statOf(info fs.FileInfo) fileStat {
	s := fileStat{mode: unixMode(info.Mode())}
	switch kindOf(info.Mode()) {
	case fileKind:
		s.size = info.Size()
	case linkKind:
		s.mode = 0
	default:
		return s
	}
	s.mtime = info.ModTime().UnixNano()
	s.ctime, s.inode = changeOf(info)
	return s
}

func kindOf(m fs.FileMode) kind {
	switch {
	case m.IsRegular():
		return fileKind
	case m.IsDir():
		return dirKind
	case m.Type() == fs.ModeSymlink:
		return linkKind
	}
	return oddKind
}

// unixMode is the permissions in the form of Unix.
func unixMode(m fs.FileMode) uint32 {
	u := uint32(m.Perm())
	if m&fs.ModeSetuid != 0 {
		u |= 0o4000
	}
	if m&fs.ModeSetgid != 0 {
		u |= 0o2000
	}
	if m&fs.ModeSticky != 0 {
		u |= 0o1000
	}
	return u
}

// goMode is the inverse of unixMode.
func goMode(u uint32) fs.FileMode {
	m := fs.FileMode(u & 0o777)
	if u&0o4000 != 0 {
		m |= fs.ModeSetuid
	}
	if u&0o2000 != 0 {
		m |= fs.ModeSetgid
	}
	if u&0o1000 != 0 {
		m |= fs.ModeSticky
	}
	return m
}

// oddName says what a file is that cannot be sent.
func oddName(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "neither a file, a directory nor a symbolic link"
}
