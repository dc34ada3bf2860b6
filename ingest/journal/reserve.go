package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// reserve is a file whose room on the disk is for the drain. To delete a record,
// SQLite has to write: on a full disk the drain could not go on, so nothing would
// ever make room. A full disk therefore gets the reserve's room, and while there
// is no reserve, no event is appended.
type reserve struct {
	file string // empty for PostgreSQL, which needs none
	have bool
}

// reserveSize is the length of the reserve: the write-ahead log, once as it stands
// and once as it is moved into the file.
const reserveSize = 2 * maxWAL

// take makes the reserve where it is missing and the disk has room for it twice.
func (r *reserve) take() error {
	if r.file == "" || r.have {
		return nil
	}
	if info, err := os.Stat(r.file); err == nil && info.Size() == reserveSize {
		r.have = true
		return nil
	}
	if free, err := freeRoom(filepath.Dir(r.file)); err != nil || free < 2*reserveSize {
		return errors.Join(err, fmt.Errorf("the disk has %d bytes of room, and the journal wants %d", free, 2*reserveSize))
	}
	if err := r.make(); err != nil {
		return errors.Join(err, r.give())
	}
	r.have = true
	return nil
}

// make writes the file: one that is only extended would take no room.
func (r *reserve) make() (err error) {
	f, err := os.OpenFile(r.file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for block, n := make([]byte, 1<<20), 0; n < reserveSize; n += len(block) {
		if _, err := f.Write(block); err != nil {
			return err
		}
	}
	return f.Sync()
}

// give gives the room away.
func (r *reserve) give() error {
	r.have = false
	if r.file == "" {
		return nil
	}
	if err := os.Remove(r.file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
