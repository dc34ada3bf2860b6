package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/hookyard/hookyard/internal/store"
)

// damagedFile is a damaged file that is open for reading.
type damagedFile struct {
	*store.DB
	folder string // of the copy that is read instead; empty for none
}

// Close closes the file, and deletes the copy.
func (d *damagedFile) Close() error {
	err := d.DB.Close()
	if d.folder != "" {
		err = errors.Join(err, os.RemoveAll(d.folder))
	}
	return err
}

// openDamaged opens a damaged file. SQLite reads nothing of a file whose first
// page is damaged: that page says what the tables are and where they begin. It is
// the same in each journal, so a copy of the file is then read, whose first page is
// that of a new journal. The copy is in the folder of the file and needs its room.
func openDamaged(ctx context.Context, file string) (*damagedFile, error) {
	db, err := openWithSchema(ctx, file)
	if err == nil {
		return &damagedFile{DB: db}, nil
	}
	if !store.IsCorrupt(err) {
		return nil, err
	}
	folder, failed := os.MkdirTemp(filepath.Dir(file), ".recover-")
	if failed != nil {
		return nil, errors.Join(err, failed)
	}
	copied := filepath.Join(folder, "copy.db")
	if failed = copyWithNewStart(ctx, file, copied, filepath.Join(folder, "new.db")); failed == nil {
		db, failed = openWithSchema(ctx, copied)
	}
	if failed != nil {
		return nil, errors.Join(err, failed, os.RemoveAll(folder))
	}
	return &damagedFile{DB: db, folder: folder}, nil
}

// openWithSchema opens a file and has SQLite read what its tables are.
func openWithSchema(ctx context.Context, file string) (*store.DB, error) {
	db, err := store.Open(ctx, store.Options{SQLite: file})
	if err != nil {
		return nil, err
	}
	var tables int
	err = db.QueryRowContext(ctx, "select count(*) from sqlite_schema where tbl_name like 'journal%'").Scan(&tables)
	if err == nil {
		_, err = db.ExecContext(ctx, "select 1 from journal limit 0")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the tables of %q: %w", file, err), db.Close())
	}
	return db, nil
}

// copyWithNewStart copies a journal's file and its write-ahead log. The copy of the
// file gets the first page of a new journal, which is made for that.
func copyWithNewStart(ctx context.Context, from, to, fresh string) error {
	made, err := OpenTables(ctx, Place{SQLite: fresh})
	if err != nil {
		return err
	}
	if err := made.Close(); err != nil { // moves the log into the file
		return err
	}
	start := make([]byte, pageSize)
	if err := readStart(fresh, start); err != nil {
		return err
	}
	size, err := copyFile(from, to)
	if err != nil {
		return err
	}
	if _, err := copyFile(from+"-wal", to+"-wal"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	pages := size / pageSize
	if pages < 0 || pages > math.MaxUint32 {
		return fmt.Errorf("%q has %d pages, which is more than SQLite has", from, pages)
	}
	binary.BigEndian.PutUint32(start[28:], uint32(pages)) // where SQLite's header has it
	f, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(start, 0)
	return errors.Join(err, f.Close())
}

func readStart(file string, start []byte) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	_, err = io.ReadFull(f, start)
	return errors.Join(err, f.Close())
}

func copyFile(from, to string) (size int64, err error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	size, err = io.Copy(out, in)
	return size, errors.Join(err, out.Close())
}
