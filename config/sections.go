package config

import (
	"fmt"
	"maps"
	"math"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v4"

	"github.com/hookyard/hookyard/event"
)

// config reads the whole file. The sections follow in the order of its keys.
func (d *decoder) config(v value) *Config {
	c := defaults(d.dir)
	c.App = newApp(d.opts.App)
	if isNull(v.node) {
		d.mistake(v, "the file is empty; %s", exampleSource)
		return c
	}
	has := d.fields(v, []field{
		{"listen", d.address(&c.Listen)},
		{"admin", d.admin(&c.Admin)},
		{"public_url", d.publicURL(&c.PublicURL)},
		{"trusted_proxies", d.prefixes(&c.TrustedProxies, "leave it out to believe nobody's X-Forwarded-For")},
		{"providers", d.path(&c.Providers)},
		{"temporal", d.temporal(&c.Temporal)},
		{"store", d.store(&c.Store)},
		{"journal", d.journal(&c.Journal)},
		{"send", d.send(&c.Send)},
		{"park_for", d.duration(&c.ParkFor)},
		{"queues", d.queues(&c.Queues)},
		{"sources", d.sources(&c.Sources)},
		{"retry", d.retry(&c.Retry)},
		{"alerts", d.alerts(&c.Alerts)},
		{"log", d.log(&c.Log)},
		{"encryption", d.encryption(&c.Encryption)},
		{"payload_store", d.payloadStore(&c.PayloadStore)},
		{"app", d.app(&c.App)},
	})
	if _, ok := has["sources"]; has != nil && !ok {
		d.mistake(v, "no sources; %s", exampleSource)
	}
	if _, ok := has["app"]; has != nil && !ok && c.App != nil {
		d.appAbsent(v, c.App)
	}
	d.retriesOfSources(c)
	d.checkQueues(c)
	if _, ok := has["alerts"]; !ok {
		for _, watched := range d.watched {
			d.mistake(watched, "nobody to tell; add alerts: {to: [env:ALERT_URL]}")
		}
	}
	return c
}

// admin reads an address or the word for none.
func (d *decoder) admin(to *string) func(value) {
	return func(v value) {
		const want = "host:port such as " + DefaultAdmin + ", or " + AdminOff
		s, ok := d.text(v, want)
		if !ok {
			return
		}
		if _, port, err := net.SplitHostPort(s); s != AdminOff && (err != nil || !isPort(port)) {
			d.mistake(v, "want %s, found %s", want, quote(s))
			return
		}
		*to = s
	}
}

func (d *decoder) log(to *Log) func(value) {
	return func(v value) {
		d.fields(v, []field{{"mask", func(v value) {
			const want = "json:PATH such as json:customer.email, or header:NAME such as header:X-Internal-*"
			for _, item := range d.items(v, want, "leave it out to mask no more than credentials and signatures") {
				text, ok := d.text(item, want)
				if !ok {
					continue
				}
				kind, rest, _ := strings.Cut(text, ":")
				switch {
				case kind == "json" && !slices.Contains(strings.Split(rest, "."), ""):
					to.Mask = append(to.Mask, rest)
				case kind == "header" && headerPattern.MatchString(rest):
					to.MaskHeaders = append(to.MaskHeaders, event.CanonicalHeader(rest))
				default:
					d.mistake(item, "want %s, found %s", want, quote(text))
				}
			}
		}}})
	}
}

const exampleSource = "declare at least one, such as sources: {stripe: {provider: stripe, secrets: [env:STRIPE_WEBHOOK_SECRET]}}"

func (d *decoder) temporal(to *Temporal) func(value) {
	return func(v value) {
		d.fields(v, []field{
			{"task_queue", func(v value) {
				if queue, ok := d.text(v, "the name of a Task Queue"); ok && d.checkTaskQueue(v, queue) {
					to.TaskQueue = queue
				}
			}},
			{"versioning", d.versioning(&to.Versioning)},
		})
	}
}

func (d *decoder) store(to *Store) func(value) {
	return func(v value) {
		var s Store
		has := d.fields(v, []field{
			{"sqlite", d.path(&s.SQLite)},
			{"postgres", d.secret(&s.Postgres)},
			{"key", d.secret(&s.Key)},
		})
		if has == nil {
			return
		}
		_, sqlite := has["sqlite"]
		_, postgres := has["postgres"]
		switch {
		case sqlite && postgres:
			d.mistake(v, "has both sqlite and postgres; keep one")
		case !sqlite && !postgres:
			s.SQLite = to.SQLite
		}
		*to = s
	}
}

// minJournal leaves room for what the drain deletes and for the write-ahead log.
const minJournal = 64 << 20

func (d *decoder) journal(to *Journal) func(value) {
	return func(v value) {
		d.fields(v, []field{
			{"max_size", func(v value) {
				s, ok := d.text(v, "a size such as 1GiB")
				if !ok {
					return
				}
				n, err := parseSize(s)
				switch {
				case err != nil:
					d.mistake(v, "want a size such as 1GiB (units: B, KB, KiB, MB, MiB, GB, GiB), found %s", quote(s))
				case n < minJournal:
					d.mistake(v, "want 64MiB or more, found %s", quote(s))
				default:
					to.MaxSize = n
				}
			}},
			{"max_age", d.duration(&to.MaxAge)},
			{"in_flight", func(v value) {
				if n, ok := d.whole(v); ok {
					to.InFlight = n
				}
			}},
		})
	}
}

func (d *decoder) bool(to *bool) func(value) {
	return func(v value) {
		if v.node.Tag != "!!bool" {
			d.wrong(v, "true or false")
			return
		}
		*to = strings.EqualFold(v.node.Value, "true")
	}
}

func (d *decoder) encryption(to *Encryption) func(value) {
	return func(v value) {
		has := d.fields(v, []field{{"keys", d.secrets(&to.Keys, "leave encryption out to turn it off")}})
		if _, ok := has["keys"]; has != nil && !ok {
			d.mistake(v, "no keys; add keys: [env:NAME] with a key that `hookyard keygen` makes")
		}
	}
}

func (d *decoder) payloadStore(to **PayloadStore) func(value) {
	return func(v value) {
		s := PayloadStore{Over: 256 << 10}
		has := d.fields(v, []field{
			{"folder", d.path(&s.Folder)},
			{"url", d.bucket(&s.URL)},
			{"keep", d.duration(&s.Keep)},
			{"over", d.size(&s.Over, leastStored, MaxInHistory, "as the rest stays in histories, where Temporal takes 2 MiB a payload")},
		})
		if has == nil {
			return
		}
		_, folder := has["folder"]
		_, bucket := has["url"]
		switch {
		case folder && bucket:
			d.mistake(v, "has both folder and url; keep one")
		case !folder && !bucket:
			d.mistake(v, "no folder and no url; add url: s3://BUCKET, or folder: PATH where one machine runs everything")
		}
		*to = &s
	}
}

// leastStored is the smallest threshold. What lists of runs show, and what is
// signed into a run's details, is smaller and stays in Temporal.
const leastStored = 64 << 10

// bucket reads the URL of a bucket. A user or password in it would be a secret
// in the file.
func (d *decoder) bucket(to *string) func(value) {
	return func(v value) {
		const want = "s3://BUCKET, gs://BUCKET or azblob://CONTAINER"
		s, ok := d.text(v, want)
		if !ok {
			return
		}
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Scheme == "" || u.Host == "":
			d.mistake(v, "want %s, found another text", want)
		case u.User != nil:
			d.mistake(v, "holds a user; give credentials in the environment, as the vendor's own tools take them")
		default:
			*to = s
		}
	}
}

func (d *decoder) versioning(to **Versioning) func(value) {
	return func(v value) {
		versioning := Versioning{Deployment: "hookyard"}
		has := d.fields(v, []field{
			{"deployment", d.versionPart(&versioning.Deployment, "the name of a Worker Deployment")},
			{"build_id", func(v value) {
				if !isReference(v.node.Value) {
					d.versionPart(&versioning.BuildID, "a build id, or a reference such as env:BUILD_ID")(v)
					return
				}
				var s Secret
				d.secret(&s)(v)
				versioning.BuildID = s.Reveal()
			}},
		})
		if has == nil {
			return
		}
		if _, ok := has["build_id"]; !ok {
			d.mistake(v, "no build_id; add build_id: env:BUILD_ID, and have each deploy set that to what it deploys")
		}
		*to = &versioning
	}
}

// versionPart reads a part of a version. Temporal writes a version as
// "deployment:build" or, on older servers, "deployment.build".
func (d *decoder) versionPart(to *string, want string) func(value) {
	return func(v value) {
		s, ok := d.text(v, want)
		switch {
		case !ok:
		case strings.Contains(s, ":") || v.name() == "deployment" && strings.Contains(s, "."):
			d.mistake(v, "%s has a character that Temporal separates the parts of a version with; use letters, digits and dashes", quote(s))
		default:
			*to = s
		}
	}
}

var sourceName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

func (d *decoder) sources(to *[]Source) func(value) {
	return func(v value) {
		entries, ok := d.entries(v, "a mapping from names to sources")
		if ok && len(entries) == 0 {
			d.mistake(v, "none declared; %s", exampleSource)
		}
		for _, entry := range entries {
			if !sourceName.MatchString(entry.name()) {
				d.mistake(entry, "a name is 1 to 64 of a-z, 0-9, dot, dash and underscore, and starts with a letter or digit")
			}
			*to = append(*to, d.source(entry))
		}
	}
}

func (d *decoder) source(v value) Source {
	s := sourceDefaults(v.name())
	has := d.fields(v, []field{
		{"provider", d.string(&s.Provider, "the name of a provider")},
		{"secrets", d.secrets(&s.Secrets, "name one, or leave it out where the provider signs without")},
		{"options", d.options(&s.Options)},
		{"split", d.split(&s.Whole)},
		{"replay_guard", d.replayGuard(&s.ReplayGuard)},
		{"hash_ids", d.secret(&s.HashIDs)},
		{"journal", d.bool(&s.Journal)},
		{"routes", d.routes(&s.Routes)},
		{"retry", d.retryOf(s.Name)},
		{"drop_headers", d.headers(&s.DropHeaders, "leave it out to keep what is no secret")},
		{"allow", d.prefixes(&s.Allow, "leave it out to let any address send")},
		{"rate", d.rate(&s.Rate)},
		{"max_body", d.maxBody(&s.MaxBody)},
		{"tolerance", d.duration(&s.Tolerance)},
		{"expect_every", d.duration(&s.ExpectEvery)},
		{"alert_refused", d.alertRefused(&s.AlertRefused)},
		{"reconcile", d.reconcile(&s.Reconcile)},
		{"signature", d.raw(&s.Signature, "a mapping")},
		{"secret", d.raw(&s.SecretFormat, `a mapping that says how secrets are encoded (the secrets themselves go under "secrets")`)},
		{"event", d.raw(&s.Event, "a mapping")},
		{"retries", d.raw(&s.Retries, "a mapping")},
	})
	if has == nil {
		return s
	}
	for _, key := range []string{"expect_every", "alert_refused"} {
		if watched, ok := has[key]; ok {
			d.watched = append(d.watched, watched)
		}
	}
	if _, ok := has["provider"]; !ok {
		d.mistake(v, "no provider; add provider: with the name of who sends")
	}
	return s
}

// options reads what the provider is told. Whether a value is a secret, only
// the operator knows: both forms are taken.
func (d *decoder) options(to *map[string]Secret) func(value) {
	return func(v value) {
		entries, ok := d.entries(v, "a mapping from the provider's options to their values")
		if ok && len(entries) == 0 {
			d.mistake(v, "none given; leave it out")
		}
		*to = map[string]Secret{}
		for _, entry := range entries {
			(*to)[entry.name()] = d.optionValue(entry)
		}
	}
}

func (d *decoder) optionValue(v value) Secret {
	const want = "a text, a list of texts, or a reference such as env:NAME"
	switch {
	case v.node.Kind == yaml.SequenceNode:
		var items []string
		for _, item := range d.items(v, "texts", "leave it out") {
			if s, ok := d.optionText(item, "a text without blanks"); ok {
				items = append(items, s)
			}
		}
		return NewSecret(hidden, strings.Join(items, " "))
	case isReference(v.node.Value):
		var s Secret
		d.secret(&s)(v)
		return s
	default:
		s, _ := d.optionText(v, want)
		return NewSecret(hidden, s)
	}
}

// optionText takes a number, too: ids are often made of digits.
func (d *decoder) optionText(v value, want string) (string, bool) {
	s := v.node.Value
	if v.node.Tag != "!!int" {
		var ok bool
		if s, ok = d.text(v, want); !ok {
			return "", false
		}
	}
	if strings.ContainsFunc(s, unicode.IsSpace) {
		d.mistake(v, "want %s, found one with blanks", want)
		return "", false
	}
	return s, true
}

func (d *decoder) split(to *bool) func(value) {
	return func(v value) {
		if v.node.Tag != "!!bool" {
			d.wrong(v, "true or false")
			return
		}
		*to = strings.EqualFold(v.node.Value, "false")
	}
}

func (d *decoder) replayGuard(to *bool) func(value) {
	return func(v value) {
		switch s, ok := d.text(v, "body"); {
		case !ok:
		case s != "body":
			d.mistake(v, "want body, found %s; leave it out for none", quote(s))
		default:
			*to = true
		}
	}
}

func (d *decoder) forward(to **Forward) func(value) {
	return func(v value) {
		var f Forward
		has := d.fields(v, []field{
			{"url", d.url(&f.URL)},
			{"secret", d.secret(&f.Secret)},
			{"headers", d.headers(&f.Headers, "leave it out to send none along")},
		})
		if has == nil {
			return
		}
		if _, ok := has["url"]; !ok {
			d.mistake(v, "no url; add url: with where to send events on to")
		}
		*to = &f
	}
}

func (d *decoder) rate(to **Rate) func(value) {
	return func(v value) {
		var r Rate
		has := d.fields(v, []field{
			{"per_second", d.perSecond(&r.PerSecond, "a number of deliveries")},
			{"burst", func(v value) {
				if n, ok := d.whole(v); ok {
					r.Burst = n
				}
			}},
		})
		if has == nil {
			return
		}
		if _, ok := has["per_second"]; !ok {
			d.mistake(v, "no per_second; add per_second: with how many deliveries to take")
		}
		if r.Burst == 0 {
			r.Burst = int(math.Ceil(r.PerSecond))
		}
		*to = &r
	}
}

func (d *decoder) alertRefused(to **AlertRefused) func(value) {
	return func(v value) {
		var a AlertRefused
		has := d.fields(v, []field{{"per_minute", func(v value) {
			if n, ok := d.whole(v); ok {
				a.PerMinute = n
			}
		}}})
		if has == nil {
			return
		}
		if _, ok := has["per_minute"]; !ok {
			d.mistake(v, "no per_minute; add per_minute: with how many deliveries may be refused")
		}
		*to = &a
	}
}

func (d *decoder) reconcile(to **Reconcile) func(value) {
	return func(v value) {
		const most = 7 * day // less often is not a safety net
		r := Reconcile{Every: time.Hour}
		has := d.fields(v, []field{
			{"every", d.duration(&r.Every)},
			{"window", d.duration(&r.Window)},
			{"settle", d.duration(&r.Settle)},
			{"key", d.secret(&r.Key)},
			{"url", d.publicURL(&r.URL)},
		})
		if has == nil {
			return
		}
		if _, ok := has["key"]; !ok {
			d.mistake(v, "no key; add key: env:NAME with the key of the provider's API")
		}
		if at, ok := has["every"]; ok && (r.Every < time.Minute || r.Every > most) {
			d.mistake(at, "want 1m to 7d, found %s: an API has its limits, and events are forgotten", quote(at.node.Value))
		}
		if r.Window > 0 && r.Window <= r.Settle {
			d.mistake(has["window"], "window %s is not longer than settle %s, so that nothing is looked at", r.Window, r.Settle)
		}
		*to = &r
	}
}

func (d *decoder) maxBody(to *int64) func(value) {
	return d.size(to, 1, MaxBodyLimit, "as an edge holds whole bodies in memory")
}

// size reads a number of bytes.
func (d *decoder) size(to *int64, least, most int64, why string) func(value) {
	return func(v value) {
		s, ok := d.text(v, "a size such as 1MiB")
		if !ok {
			return
		}
		n, err := parseSize(s)
		switch {
		case err != nil:
			d.mistake(v, "want a size such as 1MiB (units: B, KB, KiB, MB, MiB), found %s", quote(s))
		case n < least:
			d.mistake(v, "want %s or more, found %s", sizeText(least), quote(s))
		case n > most:
			d.mistake(v, "want at most %s, %s; found %s", sizeText(most), why, quote(s))
		default:
			*to = n
		}
	}
}

// sizeText writes a limit as a file does.
func sizeText(n int64) string {
	switch {
	case n%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", n>>20)
	case n > 1<<20:
		return fmt.Sprintf("%.1fMiB", float64(n)/(1<<20))
	case n%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", n>>10)
	default:
		return fmt.Sprintf("%dB", n)
	}
}

// raw keeps a mapping as it stands, for the provider package.
func (d *decoder) raw(to **yaml.Node, want string) func(value) {
	return func(v value) {
		if v.node.Kind != yaml.MappingNode {
			d.wrong(v, want)
			return
		}
		*to = v.node
	}
}

// retry reads entries by Activity. Each takes what it does not say from the
// default, wherever that stands.
func (d *decoder) retry(to *Retries) func(value) {
	return func(v value) { *to = d.retries(v, *to) }
}

// sourceRetry is a source's own retry, which is read once the file's is known.
type sourceRetry struct {
	source string
	at     value
}

// retryOf notes a source's own retry.
func (d *decoder) retryOf(source string) func(value) {
	return func(v value) { d.sourceRetries = append(d.sourceRetries, sourceRetry{source, v}) }
}

// retriesOfSources reads the sources' own retries.
func (d *decoder) retriesOfSources(c *Config) {
	for _, own := range d.sourceRetries {
		retries := d.retries(own.at, c.Retry)
		for i := range c.Sources {
			if c.Sources[i].Name == own.source {
				c.Sources[i].Retry = &retries
			}
		}
	}
}

// retries reads entries on top of others. What an entry does not say comes
// from, the nearest first: the default beside it, the entry of that Activity
// below, the default below.
func (d *decoder) retries(v value, below Retries) Retries {
	entries, _ := d.entries(v, "a mapping from Activity names to retries")
	r := Retries{Default: below.Default, ByActivity: maps.Clone(below.ByActivity)}
	if r.ByActivity == nil {
		r.ByActivity = map[string]Retry{}
	}
	for _, entry := range entries {
		if entry.name() != "default" {
			continue
		}
		if r.Default = d.retryEntry(entry, r.Default); r.Default.First == FirstLocal {
			d.mistake(entry, "first: local is said of one Activity at a time, of those whose outside system answers fast")
			r.Default.First = FirstQueue
		}
		for _, name := range slices.Sorted(maps.Keys(r.ByActivity)) {
			retry := r.ByActivity[name]
			r.ByActivity[name] = d.again(entry, retry)
			if !slices.ContainsFunc(entries, func(own value) bool { return own.name() == name }) {
				d.checkFirst(entry, name, r.ByActivity[name])
			}
		}
	}
	for _, entry := range entries {
		if entry.name() == "default" {
			continue
		}
		base, named := r.ByActivity[entry.name()]
		if !named {
			base = r.Default
		}
		r.ByActivity[entry.name()] = d.retryEntry(entry, base)
		d.checkFirst(entry, entry.name(), r.ByActivity[entry.name()])
	}
	return r
}

// again reads an entry that was read before, and so reports no mistakes.
func (d *decoder) again(entry value, base Retry) Retry {
	before, queues := len(d.mistakes), len(d.activityQueues)
	base = d.retryEntry(entry, base)
	d.mistakes, d.activityQueues = d.mistakes[:before], d.activityQueues[:queues]
	return base
}

func (d *decoder) retryEntry(v value, r Retry) Retry {
	before := len(d.mistakes)
	has := d.fields(v, []field{
		{"initial", d.duration(&r.Initial)},
		{"backoff", func(v value) {
			n, ok := d.number(v, "a factor such as 2")
			switch {
			case !ok:
			case n < 1:
				d.mistake(v, "%s would wait less each time; want a factor of 1 or more", v.node.Value)
			default:
				r.Backoff = n
			}
		}},
		{"max", d.duration(&r.Max)},
		{"attempts", d.attempts(&r.Attempts)},
		{"timeout", d.duration(&r.Timeout)},
		{"first", d.first(&r.First)},
		{"task_queue", d.activityQueue(&r.TaskQueue)},
	})
	if len(d.mistakes) > before {
		return r
	}
	at, ok := has["max"]
	if !ok {
		at, ok = has["initial"]
	}
	if ok && r.Max < r.Initial {
		d.report(at.line, v.keys, "max %s is less than initial %s; raise max or lower initial", r.Max, r.Initial)
	}
	return r
}

// checkFirst finds a first attempt that a Workflow Task has no room for.
func (d *decoder) checkFirst(entry value, activity string, r Retry) {
	if r.First == FirstLocal && r.TaskQueue != "" {
		d.mistake(entry, "the first attempt of %s is local, and so not made on the Task Queue %s; give %s first: queue, or no task_queue",
			activity, quote(r.TaskQueue), activity)
	}
	if r.First == FirstLocal && r.Timeout > event.LocalWithin {
		d.mistake(entry, "the first attempt of %s is local, and a timeout of %s is too long for that: it holds the Workflow Task meanwhile; give %s timeout: %s at most, or first: queue",
			activity, r.Timeout, activity, event.LocalWithin)
	}
}

func (d *decoder) first(to *First) func(value) {
	return func(v value) {
		const want = "local, where the Workflow runs, or queue"
		text, ok := d.text(v, want)
		switch {
		case !ok:
		case First(text) == FirstLocal, First(text) == FirstQueue:
			*to = First(text)
		default:
			d.mistake(v, "want %s, found %s", want, quote(text))
		}
	}
}

func (d *decoder) attempts(to *int) func(value) {
	return func(v value) {
		if v.node.Value == "0" {
			d.mistake(v, "0 would retry forever, so that a run never parks and nobody hears of it; want 1 or more")
			return
		}
		if n, ok := d.whole(v); ok {
			*to = n
		}
	}
}

func (d *decoder) alerts(to *Alerts) func(value) {
	return func(v value) {
		has := d.fields(v, []field{
			{"to", d.secrets(&to.To, "name at least one place, or leave out alerts")},
			{"web_ui", d.publicURL(&to.WebUI)},
			{"digest_every", d.duration(&to.DigestEvery)},
			{"escalate_after", d.duration(&to.EscalateAfter)},
		})
		if _, ok := has["to"]; has != nil && !ok {
			d.mistake(v, "nobody to tell; add to: [env:ALERT_URL], or leave out alerts")
		}
	}
}
