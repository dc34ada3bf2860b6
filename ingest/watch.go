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

// Alerter tells people about a trouble at the edge. It must not need Temporal,
// which may be the trouble.
type Alerter interface {
	// Alert returns nil once somebody was told. After an error it is called
	// again later.
	Alert(ctx context.Context, t Trouble) error
}

// TroubleKind is what is wrong with a source.
type TroubleKind string

// The kinds.
const (
	// TroubleRefused: more deliveries were refused within a minute than the
	// source's config allows.
	TroubleRefused TroubleKind = "refused"
	// TroubleSilent: no delivery was taken for longer than expect_every.
	TroubleSilent TroubleKind = "silent"
)

// Trouble says that a source is in trouble, or that the trouble is over.
type Trouble struct {
	Source string
	Kind   TroubleKind
	// Over is set when the trouble is over. The fields below are then empty.
	Over bool
	// Refused is the number of deliveries refused in the last minute, and
	// Reasons lists that number by reason.
	Refused int
	Reasons string
	// Since is when the last delivery was taken, or when this edge started if
	// none was.
	Since time.Time
}

const (
	// watchEvery is how often a Watch looks at its counts.
	watchEvery = 5 * time.Second
	// calm is how long refusals must stay below the limit before the trouble
	// is over.
	calm = 5 * time.Minute
	// alertPatience bounds one call of the Alerter.
	alertPatience = 30 * time.Second
	// alertPause is the wait after a call that failed.
	alertPause = time.Minute
)

// WatchOptions are what a Watch needs.
type WatchOptions struct {
	// Sources are the sources of the config. Those without expect_every and
	// alert_refused are not watched.
	Sources []config.Source
	Alerter Alerter
	Logger  *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Watch counts the deliveries of this edge, and has people told when a source's
// deliveries are refused or stop coming. Each edge has its own Watch. Behind a
// load balancer, each one counts a part of the refusals and has to see a delivery
// within expect_every.
//
// Deliveries only add to the counts. One goroutine of Server.Serve looks at the
// counts and calls the Alerter, so an Alerter that hangs delays no response.
// Nothing is queued: an alert says what is true when it is sent.
type Watch struct {
	alerter Alerter
	logger  *slog.Logger
	now     func() time.Time

	mu      sync.Mutex
	sources map[string]*watched // the keys never change
}

// watched is the state of one source.
type watched struct {
	perMinute   int           // 0: refusals are not watched
	expectEvery time.Duration // 0: silence is not watched
	refusals    minute
	taken       time.Time // the last one, or the start
	above       time.Time // when refusals were last above perMinute
	told        map[TroubleKind]bool
	retry       time.Time // when to tell again after a failure
}

// NewWatch returns a Watch. Silence is counted from now on. It returns nil, which
// watches nothing, if no source is to be watched.
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

// took counts a delivery that was taken. Handshakes do not count.
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

// refused counts a delivery that was refused.
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

// inherit copies the state of the sources that both Watches have. It has to be
// called before w is used.
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

// look calls the Alerter with every trouble that began or ended.
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

// news returns the troubles that began or ended since the last alert.
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

// refusing returns the trouble with refusals. It is over only after a calm time,
// so that a rate around the limit is one trouble and not many.
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

// minute counts the refusals of the last 60 seconds, by second and reason.
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

// last returns the number of refusals, and that number by reason.
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
