//go:build linux || darwin

package journal

import "syscall"

// freeRoom returns how many bytes this user may still write to a folder's disk.
func freeRoom(folder string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(folder, &fs); err != nil {
		return 0, err
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil //nolint:gosec,unconvert // the types differ between systems; no disk has 2^63 bytes
}
