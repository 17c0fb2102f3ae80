package rsync

import "golang.org/x/sys/windows"

// free returns the bytes that this user can still write to the volume of dir.
func free(dir string) (int64, error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var bytes uint64
	err = windows.GetDiskFreeSpaceEx(name, &bytes, nil, nil)
	return int64(bytes), err
}
