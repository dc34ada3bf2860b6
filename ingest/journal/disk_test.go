//go:build linux && (amd64 || arm64)

package journal_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// disk is what a loss of power leaves of the files that SQLite of this process
// has open: what was synced, and of the rest as much as chance has it. It stands
// between SQLite and the system, so only a process of its own may have one.
type disk struct {
	mu    sync.Mutex
	files map[string]*onPlatter
	names map[uintptr]string // of the files that are open, by SQLite's handle
	fail  int                // so many syncs fail from now on

	methods map[uintptr]uintptr // ours, by SQLite's own
	keep    []any               // functions that SQLite has the addresses of
}

// onPlatter is one file: what is surely on the platter, and the changes since.
type onPlatter struct {
	synced  []byte
	pending []change
}

// change is a write or, where data is nil, a truncation.
type change struct {
	data []byte
	at   int64
}

func (c change) applied(to []byte) []byte {
	if c.data == nil {
		return resized(to, c.at)
	}
	to = resized(to, max(int64(len(to)), c.at+int64(len(c.data))))
	copy(to[c.at:], c.data)
	return to
}

func resized(b []byte, n int64) []byte {
	if int64(len(b)) >= n {
		return b[:n]
	}
	return append(b, make([]byte, n-int64(len(b)))...)
}

// The places in SQLite's own structures, in words: sqlite3_vfs has five before
// xOpen, and sqlite3_io_methods has nineteen in all.
const (
	vfsOpen      = 5
	ioWrite      = 3
	ioTruncate   = 4
	ioSync       = 5
	ioAll        = 19
	bytesOfWord  = 8
	failedToSync = 10 | 4<<8 // SQLITE_IOERR_FSYNC
)

type (
	openFunc     = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32
	writeFunc    = func(tls *libc.TLS, file, data uintptr, n int32, at int64) int32
	truncateFunc = func(tls *libc.TLS, file uintptr, size int64) int32
	syncFunc     = func(tls *libc.TLS, file uintptr, flags int32) int32
)

// word is a word of memory that C's side of SQLite owns.
func word(base uintptr, i int) *uintptr {
	p := base + uintptr(i)*bytesOfWord
	return *(**uintptr)(unsafe.Pointer(&p))
}

// function reads one of SQLite's function pointers.
func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }

// address writes one, of a function that the disk keeps.
func address[F any](d *disk, f F) uintptr {
	kept := &f
	d.keep = append(d.keep, kept)
	return *(*uintptr)(unsafe.Pointer(kept))
}

// newDisk puts a disk below SQLite, for the rest of this process.
func newDisk() *disk {
	d := &disk{files: map[string]*onPlatter{}, names: map[uintptr]string{}, methods: map[uintptr]uintptr{}}
	tls := libc.NewTLS()
	vfs := sqlite3.Xsqlite3_vfs_find(tls, 0)
	open := function[openFunc](*word(vfs, vfsOpen))
	*word(vfs, vfsOpen) = address[openFunc](d, func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
		code := open(tls, vfs, name, file, flags, out)
		if code == sqlite3.SQLITE_OK && name != 0 {
			d.opened(tls, file, libc.GoString(name))
		}
		return code
	})
	return d
}

// opened has the disk see what SQLite does to a file.
func (d *disk) opened(tls *libc.TLS, file uintptr, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names[file] = name
	if d.files[name] == nil {
		before, _ := os.ReadFile(name) // a new one has nothing
		d.files[name] = &onPlatter{synced: before}
	}
	own := *word(file, 0)
	if d.methods[own] == 0 {
		d.methods[own] = d.wrapped(tls, own)
	}
	*word(file, 0) = d.methods[own]
}

func (d *disk) wrapped(tls *libc.TLS, own uintptr) uintptr {
	ours := libc.Xmalloc(tls, ioAll*bytesOfWord)
	for i := range ioAll {
		*word(ours, i) = *word(own, i)
	}
	write, truncate, sync := function[writeFunc](*word(own, ioWrite)), function[truncateFunc](*word(own, ioTruncate)), function[syncFunc](*word(own, ioSync))
	*word(ours, ioWrite) = address[writeFunc](d, func(tls *libc.TLS, file, data uintptr, n int32, at int64) int32 {
		d.changes(file, change{slices.Clone(unsafe.Slice((*byte)(unsafe.Pointer(word(data, 0))), n)), at})
		return write(tls, file, data, n, at)
	})
	*word(ours, ioTruncate) = address[truncateFunc](d, func(tls *libc.TLS, file uintptr, size int64) int32 {
		d.changes(file, change{nil, size})
		return truncate(tls, file, size)
	})
	*word(ours, ioSync) = address[syncFunc](d, func(tls *libc.TLS, file uintptr, flags int32) int32 {
		if !d.syncs(file) {
			return failedToSync
		}
		return sync(tls, file, flags)
	})
	return ours
}

func (d *disk) changes(file uintptr, c change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.files[d.names[file]]
	f.pending = append(f.pending, c)
}

// syncs makes the changes of a file last. Where it fails, they never will: the
// system takes its pages for written, and the next sync has nothing to do.
func (d *disk) syncs(file uintptr) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.files[d.names[file]]
	changes := f.pending
	f.pending = nil
	if d.fail > 0 {
		d.fail--
		return false
	}
	for _, c := range changes {
		f.synced = c.applied(f.synced)
	}
	return true
}

// failNext has so many syncs fail.
func (d *disk) failNext(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = n
}

// losesPower writes into a folder what is left of the files, with half of what
// was not synced where some is set.
func (d *disk) losesPower(folder string, some bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, f := range d.files {
		if !strings.HasSuffix(name, ".db") && !strings.HasSuffix(name, ".db-wal") {
			continue // locks, which end with the process, and what SQLite has deleted
		}
		left := slices.Clone(f.synced)
		for _, c := range f.pending {
			if some && rand.IntN(2) == 0 {
				left = c.applied(left)
			}
		}
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(name)), left, 0o600); err != nil {
			return err
		}
	}
	return nil
}
