package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/server/common/log/tag"
)

func TestGate(t *testing.T) {
	t.Parallel()
	noop := func(error) {}
	t.Run("start and stop are kept back", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		var g gate
		l := newLogger(&out, options{logLevel: slog.LevelError}, &g, noop)
		l.Error("while it starts")
		require.Empty(t, out.String())
		g.open()
		l.Error("while it runs", tag.NewInt("shard", 1))
		l.Warn("below the level")
		g.shut()
		l.Error("while it stops")
		require.Contains(t, out.String(), `msg="while it runs" shard=1`)
		require.NotContains(t, out.String(), "starts")
		require.NotContains(t, out.String(), "below")
		require.NotContains(t, out.String(), "stops")
	})
	t.Run("a failed start tells", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		var g gate
		l := newLogger(&out, options{logLevel: slog.LevelError, logJSON: true}, &g, noop).(logger)
		l.With(tag.NewStringTag("service", "history")).Error("the cause")
		g.flush()
		require.Contains(t, out.String(), `"msg":"the cause","service":"history"`)
	})
	t.Run("a level that was asked for shows everything", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		newLogger(&out, options{logLevel: slog.LevelError, logLevelSet: true}, &gate{}, noop).Error("while it starts")
		require.Contains(t, out.String(), "while it starts")
	})
	t.Run("never", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		newLogger(&out, options{logLevel: never, logLevelSet: true}, &gate{}, noop).Error("anything")
		require.Empty(t, out.String())
	})
}

func TestFatalStopsTheServerWithItsReason(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	l := newLogger(&bytes.Buffer{}, options{}, &gate{}, cancel)
	l.Fatal("cannot listen", tag.Error(errors.New("port taken")))
	<-ctx.Done()
	require.EqualError(t, stopped(ctx), "temporal gave up: cannot listen: port taken")

	asked, stop := context.WithCancel(t.Context())
	stop()
	require.NoError(t, stopped(asked))
}
