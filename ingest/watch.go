package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hookyard/hookyard/config"
)

// Alerter tells people of a trouble at the edge. It works without Temporal,
// which may be the trouble.
type Alerter interface {
	// Alert returns nil once somebody has been told; after an error it is
	// called again later.
	Alert(ctx context.Context, t Trouble) error
}

// TroubleKind is what is wrong with a source.
type TroubleKind string

// The kinds.
const (
	// TroubleRefused: more deliveries were refused within a minute than the
	// source's config allows.
	TroubleRefused TroubleKind = "refused"
	// TroubleSilent: none was taken for longer than the config expects.
	TroubleSilent TroubleKind = "silent"
)

// Trouble is what to tell of a source: that it is in trouble, or no longer.
type Trouble struct {
	Source string
	Kind   TroubleKind
	// Over is set when the trouble has passed. What follows is then empty.
	Over bool
	// Refused is how many deliveries were refused in the last minute, and
	// Reasons how many for which reason.
	Refused int
	Reasons string
	// Since is when the last delivery was taken or, if none was, when this
	// edge started.
	Since time.Time
}

const (
	// watchEvery is how often a Watch looks at its counts.
	watchEvery = 5 * time.Second
	// calm is how long refusals must stay within bounds to be over.
	calm = 5 * time.Minute
	// alertPatience bounds one attempt to tell.
	alertPatience = 30 * time.Second
	// alertPause is how long to wait after an attempt that failed.
	alertPause = time.Minute
)

// WatchOptions are what a Watch needs.
type WatchOptions struct {
	// Sources are those of the config; the ones without expect_every and
	// alert_refused are not watched.
	Sources []config.Source
	Alerter Alerter
	Logger  *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Watch sees what becomes of the deliveries at this edge, and has people told
// when a source's are refused or stop coming. Several edges each watch their
// own: behind a load balancer, each one counts a part of the refusals and must
// see a delivery within expect_every.
//
// Deliveries only count. One goroutine, that of Server.Serve, looks at the
// counts and tells, so that an Alerter that hangs delays no answer. What is
// told is the state of then: nothing is queued.
type Watch struct {
	alerter Alerter
	logger  *slog.Logger
	now     func() time.Time

	mu      sync.Mutex
	sources map[string]*watched // the keys never change
}

// watched is what a Watch knows of one source.
type watched struct {
	perMinute   int           // 0: refusals are not watched
	expectEvery time.Duration // 0: silence is not watched
	refusals    minute
	taken       time.Time // the last one, or the start
	above       time.Time // when refusals were last above perMinute
	told        map[TroubleKind]bool
	retry       time.Time // when to tell again after a failure
}

// NewWatch returns a Watch of sources that count as heard from just now. It
// returns nil, which watches nothing, where no source asks to be watched.
func NewWatch(o WatchOptions) *Watch {
	if o.Now == nil {
		o.Now = time.Now
	}
	w := &Watch{alerter: o.Alerter, logger: o.Logger, now: o.Now, sources: map[string]*watched{}}
	for _, s := range o.Sources {
		source := &watched{expectEvery: s.ExpectEvery, taken: o.Now(), told: map[TroubleKind]bool{}}
		if s.AlertRefused != nil {
			source.perMinute = s.AlertRefused.PerMinute
		}
		if source.perMinute > 0 || source.expectEvery > 0 {
			w.sources[s.Name] = source
		}
	}
	if len(w.sources) == 0 {
		return nil
	}
	return w
}

// took counts a delivery that was taken. A handshake is none.
func (w *Watch) took(source string, o outcome) {
	if w == nil || o == greeted || o == rebuffed {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.sources[source]; s != nil {
		s.taken = w.now()
	}
}

// refused counts a delivery that was not.
func (w *Watch) refused(source string, why reason) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.sources[source]; s != nil && s.perMinute > 0 {
		s.refusals.add(w.now(), why)
	}
}

// inherit takes over what another Watch knows of the sources that both watch.
// It is called before w is used.
func (w *Watch) inherit(from *Watch) {
	if w == nil || from == nil {
		return
	}
	from.mu.Lock()
	defer from.mu.Unlock()
	for name, s := range w.sources {
		if was := from.sources[name]; was != nil {
			s.refusals, s.taken, s.above, s.told, s.retry = was.refusals.clone(), was.taken, was.above, maps.Clone(was.told), was.retry
		}
	}
}

// look tells whatever is not known yet.
func (w *Watch) look(ctx context.Context) {
	if w == nil {
		return
	}
	for _, trouble := range w.news() {
		err := w.tell(ctx, trouble)
		if ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		s := w.sources[trouble.Source]
		if err == nil {
			s.told[trouble.Kind] = !trouble.Over
		} else {
			s.retry = w.now().Add(alertPause)
		}
		w.mu.Unlock()
		if err != nil {
			w.logger.Error("an alert reached nobody; trying again", "source", trouble.Source, "trouble", trouble.Kind, "over", trouble.Over, "err", err)
		}
	}
}

func (w *Watch) tell(ctx context.Context, trouble Trouble) error {
	ctx, cancel := context.WithTimeout(ctx, alertPatience)
	defer cancel()
	return w.alerter.Alert(ctx, trouble)
}

// news returns the troubles that came or went since people were told.
func (w *Watch) news() []Trouble {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	var news []Trouble
	for _, name := range slices.Sorted(maps.Keys(w.sources)) {
		s := w.sources[name]
		if now.Before(s.retry) {
			continue
		}
		for _, t := range []Trouble{s.refusing(now), s.silent(now)} {
			if t.Over == s.told[t.Kind] {
				t.Source = name
				news = append(news, t)
			}
		}
	}
	return news
}

// refusing returns how it stands with refusals. They are over only after a
// while, so that a rate around the limit is one trouble and not many.
func (s *watched) refusing(now time.Time) Trouble {
	n, reasons := s.refusals.last(now)
	above := s.perMinute > 0 && n > s.perMinute
	if above {
		s.above = now
	}
	if !above && (!s.told[TroubleRefused] || now.Sub(s.above) >= calm) {
		return Trouble{Kind: TroubleRefused, Over: true}
	}
	return Trouble{Kind: TroubleRefused, Refused: n, Reasons: reasons}
}

func (s *watched) silent(now time.Time) Trouble {
	if s.expectEvery == 0 || now.Sub(s.taken) < s.expectEvery {
		return Trouble{Kind: TroubleSilent, Over: true}
	}
	return Trouble{Kind: TroubleSilent, Since: s.taken}
}

// minute counts what happened in the last 60 seconds, by second and reason.
type minute struct {
	seconds [60]struct {
		unix    int64
		reasons map[reason]int
	}
}

func (m *minute) add(now time.Time, why reason) {
	unix := now.Unix()
	second := &m.seconds[unix%60]
	if second.unix != unix {
		second.unix, second.reasons = unix, map[reason]int{}
	}
	second.reasons[why]++
}

func (m *minute) clone() minute {
	c := *m
	for i := range c.seconds {
		c.seconds[i].reasons = maps.Clone(c.seconds[i].reasons)
	}
	return c
}

// last returns how many there were, and how many for which reason.
func (m *minute) last(now time.Time) (n int, reasons string) {
	sums := map[reason]int{}
	for _, second := range m.seconds {
		if age := now.Unix() - second.unix; age < 0 || age >= 60 {
			continue
		}
		for why, count := range second.reasons {
			sums[why] += count
			n += count
		}
	}
	var parts []string
	for _, why := range slices.Sorted(maps.Keys(sums)) {
		parts = append(parts, fmt.Sprintf("%s %d", why, sums[why]))
	}
	return n, strings.Join(parts, ", ")
}
