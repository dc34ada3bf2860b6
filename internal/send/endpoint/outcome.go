package endpoint

import (
	"context"
	"time"
)

// Failed counts a failed attempt and returns what the endpoint then is.
func (b *Book) Failed(ctx context.Context, id string) (failures int, since time.Time, err error) {
	now := b.now().UnixMicro()
	var first int64
	err = b.db.QueryRowContext(ctx, `update send_endpoints set failures = failures + 1,
		failing_since = case when failing_since = 0 then $2 else failing_since end
		where id = $1 returning failures, failing_since`, id, now).Scan(&failures, &first)
	return failures, moment(first), failed("count a failure", err)
}

// Succeeded ends a row of failures. Where the endpoint was failing, it is active
// again and recovered is true, for one caller.
func (b *Book) Succeeded(ctx context.Context, id string) (recovered bool, err error) {
	now := b.now().UnixMicro()
	result, err := b.db.ExecContext(ctx, `update send_endpoints set state = $2, why = '', failures = 0, failing_since = 0, updated_at = $3 where id = $1 and state = $4`,
		id, Active, now, Failing)
	if err != nil {
		return false, failed("count a success", err)
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return n > 0, failed("count a success", err)
	}
	_, err = b.db.ExecContext(ctx, `update send_endpoints set failures = 0, failing_since = 0 where id = $1 and failures > 0`, id)
	return false, failed("count a success", err)
}

// Move changes the state of an endpoint that is in one of the given ones. It
// returns what it then is, and moved is false where it was in none of them, so
// that one caller of several hears of the change.
func (b *Book) Move(ctx context.Context, id string, to State, why string, from ...State) (e *Endpoint, moved bool, err error) {
	e, err = b.Change(ctx, id, func(e *Endpoint) error {
		for _, s := range from {
			moved = moved || e.State == s
		}
		if !moved {
			return nil
		}
		e.State, e.Why = to, why
		if to == Active {
			e.VerifiedAt, e.Failures, e.FailingSince = b.now().UTC(), 0, time.Time{}
		}
		return nil
	})
	return e, moved, err
}

// Tell notes the state that people are told of.
func (b *Book) Tell(ctx context.Context, id string, told State) error {
	_, err := b.db.ExecContext(ctx, `update send_endpoints set told = $2 where id = $1`, id, told)
	return failed("note who was told", err)
}

// Unwatched returns endpoints that a watch has to look after: they are failing,
// or people are yet to be told of their state. The watch over each of them may
// be under way. They come by id, after the given one.
func (b *Book) Unwatched(ctx context.Context, after string, limit int) (ids []string, err error) {
	rows, err := b.db.QueryContext(ctx, `select id from send_endpoints where (state = $1 or state <> $2 and told <> state) and id > $3 order by id limit $4`,
		Failing, Pending, after, limit)
	if err != nil {
		return nil, failed("list failing endpoints", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, failed("list failing endpoints", err)
		}
		ids = append(ids, id)
	}
	return ids, failed("list failing endpoints", rows.Err())
}

// Count returns how many endpoints there are in each state.
func (b *Book) Count(ctx context.Context) (map[State]int64, error) {
	counts := map[State]int64{Pending: 0, Active: 0, Failing: 0, Disabled: 0}
	rows, err := b.db.QueryContext(ctx, `select state, count(*) from send_endpoints group by state`)
	if err != nil {
		return nil, failed("count endpoints", err)
	}
	defer rows.Close()
	for rows.Next() {
		var state State
		var n int64
		if err := rows.Scan(&state, &n); err != nil {
			return nil, failed("count endpoints", err)
		}
		counts[state] = n
	}
	return counts, failed("count endpoints", rows.Err())
}
