package endpoint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/internal/send/endpoint"
	"github.com/hookyard/hookyard/internal/send/sign"
	"github.com/hookyard/hookyard/internal/store"
)

// book is a Book on each database that there is, and a clock that a test moves.
type book struct {
	*endpoint.Book
	db  *store.DB
	mu  sync.Mutex
	now time.Time
}

func (b *book) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *book) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// onEach runs a test on SQLite and, where there is one, on PostgreSQL, whose
// tables the tests share: each uses tenants and ids of its own.
func onEach(t *testing.T, test func(t *testing.T, b *book, tenant string)) {
	options := map[string]store.Options{"sqlite": {SQLite: filepath.Join(t.TempDir(), "send.db")}}
	if url := os.Getenv("HOOKYARD_TEST_POSTGRES"); url != "" {
		options["postgres"] = store.Options{Postgres: url}
	}
	for name, o := range options {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := store.Open(t.Context(), o)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			key, err := store.ParseKey(strings.Repeat("00", 32))
			require.NoError(t, err)
			b := &book{db: db, now: time.Now().UTC().Truncate(time.Microsecond)}
			b.Book, err = endpoint.Open(t.Context(), db, key, b.clock)
			require.NoError(t, err)
			test(t, b, strings.ReplaceAll(endpoint.NewID("t"), "_", ""))
		})
	}
}

func (b *book) make(t *testing.T, tenant string, events ...string) *endpoint.Endpoint {
	t.Helper()
	e := &endpoint.Endpoint{ID: endpoint.NewID(endpoint.IDPrefix), Tenant: tenant, State: endpoint.Pending}
	e.URL, e.Events, e.Sign, e.Proof = "https://hooks.test/", events, []sign.Scheme{sign.V1}, endpoint.ProofEcho
	e.Headers = map[string]string{"Authorization": "Bearer hunter2"}
	k, err := sign.NewKey(sign.V1)
	require.NoError(t, err)
	made, created, err := b.Create(t.Context(), e, []sign.Key{k}, "", "")
	require.NoError(t, err)
	require.True(t, created)
	return made
}

func TestSecretsAreSealed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b *book, tenant string) {
		e := b.make(t, tenant, "*")
		keys, err := b.Keys(t.Context(), e.ID, e.Sign)
		require.NoError(t, err)
		got, err := b.Get(t.Context(), e.ID)
		require.NoError(t, err)
		require.Equal(t, e, got)
		rows, err := b.db.QueryContext(t.Context(), `select cast(settings as text), headers, secret from send_endpoints join send_secrets on endpoint = id where id = $1`, e.ID)
		require.NoError(t, err)
		defer rows.Close()
		seen := 0
		for rows.Next() {
			var settings string
			var headers, secret []byte
			require.NoError(t, rows.Scan(&settings, &headers, &secret))
			for _, text := range []string{settings, string(headers), string(secret)} {
				require.NotContains(t, text, "hunter2")
				require.NotContains(t, text, strings.TrimPrefix(keys[0].Secret(), "whsec_"))
			}
			seen++
		}
		require.NoError(t, rows.Err())
		require.Equal(t, 1, seen)
	})
}

// TestRotation signs with the new key and the old one until the grace is over.
func TestRotation(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b *book, tenant string) {
		e := b.make(t, tenant, "*")
		both := []sign.Scheme{sign.V1, sign.V1a}
		first, err := b.Keys(t.Context(), e.ID, both)
		require.NoError(t, err)
		require.Len(t, first, 1)
		made, err := b.Rotate(t.Context(), e.ID, both, time.Hour)
		require.NoError(t, err)
		require.Len(t, made, 2)
		now, err := b.Keys(t.Context(), e.ID, []sign.Scheme{sign.V1})
		require.NoError(t, err)
		require.Len(t, now, 2)
		require.Equal(t, made[0].Secret(), now[0].Secret(), "the newest first")
		require.Equal(t, first[0].Secret(), now[1].Secret())
		b.pass(time.Hour)
		now, err = b.Keys(t.Context(), e.ID, []sign.Scheme{sign.V1})
		require.NoError(t, err)
		require.Len(t, now, 1)
		_, err = b.Rotate(t.Context(), e.ID, both, 0)
		require.NoError(t, err)
		now, err = b.Keys(t.Context(), e.ID, []sign.Scheme{sign.V1})
		require.NoError(t, err)
		require.Len(t, now, 1, "no grace, no old key")
	})
}

func TestMessages(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b *book, tenant string) {
		m := endpoint.Message{Tenant: tenant, ID: "m1", Type: "a", ContentType: "application/json", Body: []byte("{\"a\" : 1}")}
		stored, duplicate, err := b.Put(t.Context(), m)
		require.NoError(t, err)
		require.False(t, duplicate)
		b.pass(time.Minute)
		again, duplicate, err := b.Put(t.Context(), m)
		require.NoError(t, err)
		require.True(t, duplicate)
		require.Equal(t, stored, again, "it is as it was")
		for _, other := range []endpoint.Message{
			{Tenant: tenant, ID: "m1", Type: "b", ContentType: m.ContentType, Body: m.Body},
			{Tenant: tenant, ID: "m1", Type: "a", ContentType: "text/plain", Body: m.Body},
			{Tenant: tenant, ID: "m1", Type: "a", ContentType: m.ContentType, Body: []byte("{\"a\":1}")},
		} {
			_, _, err = b.Put(t.Context(), other)
			require.ErrorIs(t, err, endpoint.ErrConflict)
		}
		m.Tenant += "x"
		_, duplicate, err = b.Put(t.Context(), m)
		require.NoError(t, err)
		require.False(t, duplicate, "ids are a tenant's own")
		_, err = b.Message(t.Context(), tenant, "none")
		require.ErrorIs(t, err, endpoint.ErrNotFound)

		waits := func() (n int) {
			waiting, err := b.Waiting(t.Context(), b.clock().Add(time.Second), 10_000)
			require.NoError(t, err)
			for _, w := range waiting {
				if strings.HasPrefix(w.Tenant, tenant) {
					n++
				}
			}
			return n
		}
		require.Equal(t, 2, waits())
		require.NoError(t, b.Started(t.Context(), tenant, "m1"))
		require.Equal(t, 1, waits())
	})
}

// TestSince pages through what was published, each once, also where many have
// one time.
func TestSince(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b *book, tenant string) {
		begin := b.clock()
		for i := range 20 {
			_, _, err := b.Put(t.Context(), endpoint.Message{Tenant: tenant, ID: fmt.Sprintf("m%02d", i), Type: "a", Body: []byte("{}")})
			require.NoError(t, err)
			if i%7 == 6 {
				b.pass(time.Second)
			}
		}
		var ids []string
		since, after := begin, ""
		for {
			page, err := b.Since(t.Context(), tenant, since, b.clock().Add(time.Second), after, 3)
			require.NoError(t, err)
			for _, m := range page {
				ids = append(ids, m.ID)
				since, after = m.CreatedAt, m.ID
			}
			if len(page) < 3 {
				break
			}
		}
		require.Len(t, ids, 20)
		require.IsIncreasing(t, ids)
	})
}

func TestMatching(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b *book, tenant string) {
		takes := map[string]bool{}
		for _, patterns := range [][]string{{"invoice.*"}, {"*"}, {"order.paid", "invoice.paid"}, {"order.*"}, {"endpoint.*"}} {
			e := b.make(t, tenant, patterns...)
			_, _, err := b.Move(t.Context(), e.ID, endpoint.Active, "", endpoint.Pending)
			require.NoError(t, err)
			takes[e.ID] = patterns[0] != "order.*" && patterns[0] != "endpoint.*"
		}
		b.make(t, tenant, "*") // pending
		off := b.make(t, tenant, "*")
		_, _, err := b.Move(t.Context(), off.ID, endpoint.Disabled, "", endpoint.Pending)
		require.NoError(t, err)
		b.make(t, tenant+"x", "*") // another tenant's
		m := endpoint.Message{Tenant: tenant, Type: "invoice.paid", CreatedAt: b.clock()}
		b.pass(time.Second)
		late := b.make(t, tenant, "*")
		_, _, err = b.Move(t.Context(), late.ID, endpoint.Active, "", endpoint.Pending)
		require.NoError(t, err)

		var got []string
		for after := ""; ; {
			page, next, err := b.Matching(t.Context(), m, after, 2)
			require.NoError(t, err)
			for _, e := range page {
				got = append(got, e.ID)
				require.True(t, takes[e.ID])
			}
			if after = next; after == "" {
				break
			}
		}
		require.Len(t, got, 3, "not the one that was made later")
		m.Type = "endpoint.disabled"
		page, _, err := b.Matching(t.Context(), m, "", 100)
		require.NoError(t, err)
		require.Len(t, page, 1, "operational events go to who asks for them by name")
	})
}

// TestStates has one caller of many hear of a change.
func TestStates(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b *book, tenant string) {
		e := b.make(t, tenant, "*")
		changes := func(change func() bool) (n int) {
			var all sync.WaitGroup
			var mu sync.Mutex
			for range 8 {
				all.Go(func() {
					if change() {
						mu.Lock()
						defer mu.Unlock()
						n++
					}
				})
			}
			all.Wait()
			return n
		}
		move := func(to endpoint.State, from ...endpoint.State) func() bool {
			return func() bool {
				_, moved, err := b.Move(t.Context(), e.ID, to, "why", from...)
				return err == nil && moved
			}
		}
		require.Equal(t, 1, changes(move(endpoint.Active, endpoint.Pending)))
		first := b.clock()
		for i := range 3 {
			failures, since, err := b.Failed(t.Context(), e.ID)
			require.NoError(t, err)
			require.Equal(t, i+1, failures)
			require.Equal(t, first, since, "the first of the row")
			b.pass(time.Minute)
		}
		require.Equal(t, 1, changes(move(endpoint.Failing, endpoint.Active)))
		require.Equal(t, 1, changes(func() bool {
			recovered, err := b.Succeeded(t.Context(), e.ID)
			return err == nil && recovered
		}))
		unwatched := func() bool {
			ids, err := b.Unwatched(t.Context(), "", 1000)
			require.NoError(t, err)
			return slices.Contains(ids, e.ID)
		}
		got, err := b.Get(t.Context(), e.ID)
		require.NoError(t, err)
		require.Equal(t, endpoint.Active, got.State)
		require.Equal(t, endpoint.Active, got.Told)
		require.False(t, unwatched(), "there is nothing to tell of")
		require.NoError(t, b.Tell(t.Context(), e.ID, endpoint.Failing))
		require.True(t, unwatched(), "that it recovered is not told yet")
		require.NoError(t, b.Tell(t.Context(), e.ID, endpoint.Active))
		require.Zero(t, got.Failures)
		require.Zero(t, got.FailingSince)
		require.Equal(t, 1, changes(move(endpoint.Disabled, endpoint.Active, endpoint.Failing)))
		require.True(t, unwatched(), "that it is disabled is not told yet")
		require.Zero(t, changes(move(endpoint.Failing, endpoint.Active)), "a disabled one does not fail")
		require.NoError(t, b.Delete(t.Context(), e.ID))
		_, err = b.Get(t.Context(), e.ID)
		require.ErrorIs(t, err, endpoint.ErrNotFound)
		keys, err := b.Keys(t.Context(), e.ID, e.Sign)
		require.NoError(t, err)
		require.Empty(t, keys)
	})
}

func TestExpire(t *testing.T) {
	t.Parallel()
	db, err := store.Open(t.Context(), store.Options{SQLite: filepath.Join(t.TempDir(), "send.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	key, err := store.ParseKey(strings.Repeat("00", 32))
	require.NoError(t, err)
	b, err := endpoint.Open(t.Context(), db, key, nil)
	require.NoError(t, err)
	for _, id := range []string{"started", "waits"} {
		_, _, err := b.Put(t.Context(), endpoint.Message{Tenant: "t", ID: id, Type: "a"})
		require.NoError(t, err)
	}
	require.NoError(t, b.Started(t.Context(), "t", "started"))
	n, err := b.Expire(t.Context(), time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = b.Expire(t.Context(), time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.EqualValues(t, 1, n, "what is not started stays")
}
