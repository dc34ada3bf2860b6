package endpoint

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/hookyard/hookyard/internal/send/sign"
)

func place(id string, s sign.Scheme, number int) string {
	return fmt.Sprintf("send_secrets.secret:%s/%s/%d", id, s, number)
}

func (b *Book) addKey(ctx context.Context, tx *sql.Tx, id string, k sign.Key, number int) error {
	_, err := tx.ExecContext(ctx, `insert into send_secrets (endpoint, number, scheme, secret, valid_until) values ($1, $2, $3, $4, 0)`,
		id, number, k.Scheme(), b.key.Seal([]byte(k.Secret()), place(id, k.Scheme(), number)))
	return failed("store a secret", err)
}

// Keys returns the keys that a delivery is signed with now, of the schemes that
// are asked for: the newest first, and those that are still in their grace.
func (b *Book) Keys(ctx context.Context, id string, schemes []sign.Scheme) ([]sign.Key, error) {
	rows, err := b.db.QueryContext(ctx, `select number, scheme, secret from send_secrets
		where endpoint = $1 and (valid_until = 0 or valid_until > $2) order by scheme, number desc`, id, b.now().UnixMicro())
	if err != nil {
		return nil, failed("read secrets", err)
	}
	defer rows.Close()
	var keys []sign.Key
	for rows.Next() {
		var (
			number int
			scheme sign.Scheme
			sealed []byte
		)
		if err := rows.Scan(&number, &scheme, &sealed); err != nil {
			return nil, failed("read secrets", err)
		}
		wanted := false
		for _, s := range schemes {
			wanted = wanted || s == scheme
		}
		if !wanted {
			continue
		}
		text, err := b.key.Open(sealed, place(id, scheme, number))
		if err != nil {
			return nil, err
		}
		k, err := sign.ParseKey(string(text))
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, failed("read secrets", rows.Err())
}

// Rotate makes new keys for the schemes of an endpoint, and returns them. The
// keys before sign along until the grace is over.
func (b *Book) Rotate(ctx context.Context, id string, schemes []sign.Scheme, grace time.Duration) ([]sign.Key, error) {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, failed("rotate a secret", err)
	}
	defer tx.Rollback()
	now := b.now()
	var made []sign.Key
	for _, s := range schemes {
		k, err := sign.NewKey(s)
		if err != nil {
			return nil, err
		}
		var last sql.NullInt64
		if err := tx.QueryRowContext(ctx, `select max(number) from send_secrets where endpoint = $1 and scheme = $2`, id, s).Scan(&last); err != nil {
			return nil, failed("rotate a secret", err)
		}
		if _, err := tx.ExecContext(ctx, `update send_secrets set valid_until = $3 where endpoint = $1 and scheme = $2 and (valid_until = 0 or valid_until > $3)`,
			id, s, now.Add(grace).UnixMicro()); err != nil {
			return nil, failed("rotate a secret", err)
		}
		if err := b.addKey(ctx, tx, id, k, int(last.Int64)+1); err != nil {
			return nil, err
		}
		made = append(made, k)
	}
	if _, err := tx.ExecContext(ctx, `delete from send_secrets where endpoint = $1 and valid_until <> 0 and valid_until <= $2`, id, now.UnixMicro()); err != nil {
		return nil, failed("rotate a secret", err)
	}
	return made, failed("rotate a secret", tx.Commit())
}
