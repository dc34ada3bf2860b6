package measure

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what a process has used since its start, or uses now. Only Linux
// tells; elsewhere all of it is zero, and reported as unknown.
type usage struct {
	cpu     time.Duration // of the program and of the kernel on its behalf
	bytes   int64         // read and written, connections included
	rss     int64         // bytes
	peak    int64         // the most that rss has been, in bytes
	threads int64
	files   int64 // open ones, connections included
}

// tick is the unit of CPU times in /proc. It is 10 ms on every Linux there
// has been for years, whatever its kernel's own clock.
const tick = 10 * time.Millisecond

func usageOf(pid int) usage {
	folder := filepath.Join("/proc", strconv.Itoa(pid))
	var u usage
	if stat, err := os.ReadFile(filepath.Join(folder, "stat")); err == nil {
		u.cpu = cpuTime(stat)
	}
	if io, err := os.ReadFile(filepath.Join(folder, "io")); err == nil {
		u.bytes = field(io, "rchar") + field(io, "wchar")
	}
	if status, err := os.ReadFile(filepath.Join(folder, "status")); err == nil {
		u.rss, u.peak = field(status, "VmRSS")<<10, field(status, "VmHWM")<<10
		u.threads = field(status, "Threads")
	}
	if open, err := os.ReadDir(filepath.Join(folder, "fd")); err == nil {
		u.files = int64(len(open))
	}
	return u
}

func (p *process) usage() usage { return usageOf(p.PID()) }

// cpuTime reads utime and stime of /proc/PID/stat. The program's name, in
// parentheses, may itself hold spaces and parentheses.
func cpuTime(stat []byte) time.Duration {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const utime, stime = 11, 12
	if len(fields) <= stime {
		return 0
	}
	user, _ := strconv.ParseInt(fields[utime], 10, 64)
	system, _ := strconv.ParseInt(fields[stime], 10, 64)
	return time.Duration(user+system) * tick
}

// field reads a number of a file of "name: number" lines.
func field(text []byte, name string) int64 {
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte(name+":")); ok {
			var n int64
			_, _ = fmt.Sscan(string(rest), &n) // 0 where there is none
			return n
		}
	}
	return 0
}
