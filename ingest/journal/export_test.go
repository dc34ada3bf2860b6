package journal

import "context"

// Unsynced has SQLite no longer sync what it commits, for a control that has to
// lose something.
func (j *Journal) Unsynced(ctx context.Context) error {
	_, err := j.tables.Load().db.ExecContext(ctx, "pragma synchronous = off")
	return err
}

// NewRecord is newRecord.
var NewRecord = newRecord //nolint:gochecknoglobals // a function
