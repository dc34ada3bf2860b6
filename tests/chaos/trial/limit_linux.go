package trial

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// unlimited is no limit.
const unlimited = unix.RLIM_INFINITY

// limitFileSize sets how many bytes a file may have for another process of
// this user to write to it. One that has ended needs no limit.
func limitFileSize(pid int, size uint64) error {
	var limit unix.Rlimit
	err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &limit)
	if err == nil {
		limit.Cur = min(size, limit.Max)
		err = unix.Prlimit(pid, unix.RLIMIT_FSIZE, &limit, nil)
	}
	if err == nil || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return fmt.Errorf("limit the size of the files of process %d: %w", pid, err)
}
