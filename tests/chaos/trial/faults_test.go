package trial

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patient is a target that counts.
type patient struct {
	began, ended atomic.Int32
	refuse, stay error
}

func (p *patient) begin(context.Context, Fault) (func(context.Context) error, error) {
	p.began.Add(1)
	return func(ctx context.Context) error {
		p.ended.Add(1)
		return errors.Join(p.stay, ctx.Err())
	}, p.refuse
}

func silent(string, ...any) {}

func TestInjector(t *testing.T) {
	t.Parallel()
	faults := []Fault{{Kind: Cut, Target: "a", For: time.Millisecond}, {Kind: Slow, Target: "b", At: time.Millisecond, For: time.Millisecond}}

	t.Run("every fault begins and ends", func(t *testing.T) {
		t.Parallel()
		a, b := &patient{}, &patient{}
		i := &injector{targets: map[string]target{"a": a, "b": b}, say: silent}
		require.NoError(t, i.run(t.Context(), faults))
		for _, p := range []*patient{a, b} {
			require.EqualValues(t, 1, p.began.Load())
			require.EqualValues(t, 1, p.ended.Load())
		}
		require.Len(t, i.applied, 2)
		for _, f := range i.applied {
			require.Empty(t, f.Err)
			require.False(t, f.Ended.Before(f.Began))
		}
	})
	t.Run("one that is not possible is put right and reported", func(t *testing.T) {
		t.Parallel()
		a, b := &patient{refuse: errors.ErrUnsupported}, &patient{}
		i := &injector{targets: map[string]target{"a": a, "b": b}, say: silent}
		require.NoError(t, i.run(t.Context(), faults[:1]))
		require.EqualValues(t, 1, a.ended.Load())
		require.Equal(t, errors.ErrUnsupported.Error(), i.applied[0].Err)
	})
	t.Run("one that stays is an error", func(t *testing.T) {
		t.Parallel()
		i := &injector{targets: map[string]target{"a": &patient{stay: errors.New("stuck")}}, say: silent}
		require.ErrorContains(t, i.run(t.Context(), faults[:1]), "cut a for 0s: put it right: stuck")
	})
	t.Run("an interrupt puts right what has begun", func(t *testing.T) {
		t.Parallel()
		a, b := &patient{}, &patient{}
		i := &injector{targets: map[string]target{"a": a, "b": b}, say: silent}
		ctx, cancel := context.WithCancel(t.Context())
		stop := context.AfterFunc(ctx, func() {})
		defer stop()
		go func() {
			for a.began.Load() == 0 {
				if !sleep(t.Context(), time.Millisecond) {
					return
				}
			}
			cancel()
		}()
		require.NoError(t, i.run(ctx, []Fault{{Target: "a", For: time.Hour}, {Target: "b", At: time.Hour}}))
		require.EqualValues(t, 1, a.ended.Load())
		require.Zero(t, b.began.Load())
	})
}
