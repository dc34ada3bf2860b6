// Package config reads what an operator declares: the one YAML file that says
// where to listen, which sources to take webhooks from, how to retry and whom
// to tell.
//
// It is strict. A key it does not know, a value of the wrong type or a secret
// that is not there is a mistake, and all mistakes are reported in one run as
// file:line, so that an operator mends a file once and not once per mistake.
// What this package cannot know (which providers exist, which Activities) is
// for the caller to check, with mistakes from Config.Mistake.
package config

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"
)

// Config is a whole file, with defaults filled in, secrets resolved and
// relative paths joined to the file's folder.
type Config struct {
	// File is the name that mistakes are reported under.
	File string
	// Warnings are what may be a mistake and keeps nothing from starting, sorted
	// by line.
	Warnings Mistakes
	Fixed
	Live

	root *yaml.Node // where Mistake looks lines up
}

// Fixed is the part of a Config that a process reads once, when it starts. A
// change takes a restart.
type Fixed struct {
	// Listen is the host:port to serve on; default 127.0.0.1:8080.
	Listen string
	// Admin is the host:port of health, metrics and profiles, or AdminOff. It
	// is empty when absent, which means DefaultAdmin.
	Admin    string
	Temporal Temporal
	Store    Store
	Journal  Journal
	// Send is nil when absent: nothing is sent then.
	Send *Send
	// PayloadStore is nil when absent: all payloads are then in histories.
	PayloadStore *PayloadStore
	// Queues are in the order of the file.
	Queues []Queue
	// ParkFor is how long a run may stay parked before it closes as failed;
	// zero means as long as it takes.
	ParkFor time.Duration
	// App is a pointer to a copy of Options.App with the `app:` section read
	// into it; nil where Options.App is nil.
	App any
}

// fixedKeys are the keys of the file that Fixed holds.
var fixedKeys = []string{"listen", "admin", "temporal", "payload_store", "queues", "store", "journal", "send", "park_for", "app"} //nolint:gochecknoglobals // a constant list

// Live is the part of a Config that a reload replaces.
type Live struct {
	// PublicURL is the absolute URL that senders reach this server by, without
	// a trailing slash. Providers that sign the URL are verified against it,
	// never against the Host header. It is empty when absent.
	PublicURL string
	// TrustedProxies are the peers whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Providers is the folder of the operator's own provider files; empty when
	// there is none. Whether it exists is not checked.
	Providers string
	// Sources are in the order of the file.
	Sources []Source
	// Retry is for the Activities of all sources that have no Retry of their
	// own.
	Retry  Retries
	Alerts Alerts
	Log    Log
	// Encryption is off when it has no keys.
	Encryption Encryption
}

// FixedChanges names the keys whose text differs between two files although a
// process reads them once. A secret that changed behind the same reference is
// not among them.
func FixedChanges(started, next *Config) []string {
	var keys []string
	for _, key := range fixedKeys {
		if !same(valueOf(started.root, key), valueOf(next.root, key)) {
			keys = append(keys, key)
		}
	}
	return keys
}

// valueOf returns the value of a top-level key, nil where the file does not
// have it.
func valueOf(root *yaml.Node, key string) *yaml.Node {
	if root == nil || root.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == key {
			return root.Content[i+1]
		}
	}
	return nil
}

// same reports whether two values read the same, wherever they stand and
// however they are written.
func same(a, b *yaml.Node) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Kind == b.Kind && a.Tag == b.Tag && a.Value == b.Value && slices.EqualFunc(a.Content, b.Content, same)
}

// Temporal is what this file says about Temporal; address, namespace and
// credentials come from Temporal's own profile and environment.
type Temporal struct {
	// TaskQueue is where Workflows are started and polled; default "hookyard".
	// Runs stay on the queue they started on, so workers must keep polling an
	// old queue until its runs have ended.
	TaskQueue string
	// Versioning is nil when absent: any worker then runs any run.
	Versioning *Versioning
}

// Versioning is Temporal's Worker Versioning: a worker says which build it is,
// and runs what is made current or ramped up in the deployment, nothing before.
type Versioning struct {
	// Deployment is the name of the Worker Deployment; default "hookyard".
	Deployment string
	// BuildID tells one build from the next. It is empty where
	// Options.SkipSecrets was set and the file refers to it.
	BuildID string
}

// Store is where this program keeps what Temporal does not hold. Nothing is
// opened unless something in the file needs it.
type Store struct {
	// SQLite is the path of a file, created where it is missing; default
	// "hookyard.db" in the config's folder. It is empty where Postgres is set.
	SQLite string
	// Postgres is the DSN of a database that several processes share; zero
	// where the store is a file.
	Postgres Secret
	// Key encrypts the secrets in the store; zero when absent. Whether it is a
	// key is not checked.
	Key Secret
}

// PayloadStore is where large payloads are kept outside of Temporal.
type PayloadStore struct {
	// Folder is a path, created where it is missing; empty where URL is set.
	Folder string
	// URL names a bucket, as gocloud.dev/blob has it: s3://, gs:// or
	// azblob://. It holds no credentials.
	URL string
	// Over is the size, in bytes, from which on payloads go to the store;
	// default 256 KiB.
	Over int64
	// Keep is after how long the bucket's lifecycle deletes an object; 0: never.
	// Nothing here deletes one.
	Keep time.Duration
}

// Encryption is how payloads are encrypted before they leave this process.
type Encryption struct {
	// Keys are 32 bytes in base64 each. The first one encrypts, all of them
	// decrypt. Whether they are keys is not checked.
	Keys []Secret
}

// Send is the sending side: an API to register endpoints at and to publish with.
type Send struct {
	// Listen is the host:port of the API; default 127.0.0.1:8082.
	Listen string
	// Keys are the operator's keys of the API. The first one signs the tokens
	// of tenants.
	Keys []Secret
	// Schedule are the waits between the attempts of a delivery; empty means
	// 1m, 5m, 30m, 2h, 10h and then 24h five times.
	Schedule []time.Duration
	// DisableAfter is how long an endpoint may fail before it is disabled;
	// default 5 days.
	DisableAfter time.Duration
	// Keep is how long messages are kept; default 30 days.
	Keep time.Duration
	// Allow are addresses that are sent to although they are not public. To
	// them, http and any port are allowed as well.
	Allow []netip.Prefix
	// Deny are public addresses that are not sent to.
	Deny []netip.Prefix
	// Ports are the ports of https that are sent to; empty means 443.
	Ports []int
	// Proxy is the URL of an egress proxy; zero for none.
	Proxy Secret
	// Mail is the notification URL that mails to an endpoint's contact are
	// sent by, smtp://…, without an addressee; zero for no mails.
	Mail Secret
	// Origin is who we say we are to endpoints that are verified as
	// CloudEvents has it; default "hookyard".
	Origin string
}

// Journal is the log on disk of the sources that say `journal: true`. Where the
// store is a file, it is a file of its own beside it.
type Journal struct {
	// MaxSize is the most bytes that it takes; default 1 GiB. From nine tenths
	// on, new events are refused.
	MaxSize int64
	// MaxAge is how old an event may be that is started; zero means two thirds
	// of the namespace's retention.
	MaxAge time.Duration
	// InFlight is how many starts the drain has under way, at most; default 64.
	InFlight int
}

// Source is one endpoint, POST /webhooks/{name}.
type Source struct {
	// Name is part of every Workflow Id: an event that arrives again after its
	// source was renamed is a new event.
	Name     string
	Provider string
	// Secrets may each verify a delivery, so that a secret can be rotated.
	// Whether the provider needs one is not checked.
	Secrets []Secret
	// Options are what the provider has to be told besides secrets, by name.
	// They are held like secrets, as some are; one that stands in the file
	// as it is has no reference. The values of a list are
	// separated by single blanks. Which options there are is not checked.
	Options map[string]Secret
	// Whole keeps a delivery that carries several events as one; it is
	// `split: false`. Whether the provider sends any is not checked.
	Whole bool
	// ReplayGuard makes the body's hash the id of an event whose own id is
	// not signed; it is `replay_guard: body`.
	ReplayGuard bool
	// HashIDs is the key with which ids of events are hashed, where they are
	// personal; zero to keep them. Another key makes redeliveries new events.
	HashIDs Secret
	// Journal has the source's events acknowledged from disk, and started at a
	// rate that Temporal stands.
	Journal bool
	// Routes say what becomes of the source's events; the first that fits
	// counts. With none, every event starts the Workflow "<provider>.<type>".
	Routes []Route
	// Retry is nil when absent: Live.Retry holds then.
	Retry *Retries
	// DropHeaders are patterns of the headers that the Event does not keep and
	// that debug logs do not show, besides those that it never keeps. They
	// are canonical: "X-Internal-*".
	DropHeaders []string
	// Allow are the addresses that may send; empty means any.
	Allow []netip.Prefix
	// Rate is nil when deliveries are not limited.
	Rate *Rate
	// MaxBody is the largest body taken, in bytes; default 1 MiB, at most
	// MaxBodyLimit.
	MaxBody int64
	// Tolerance is how old a signed timestamp may be; zero means that the
	// provider says.
	Tolerance time.Duration
	// ExpectEvery is how long the source may go without a delivery before
	// somebody is told; zero means as long as it likes.
	ExpectEvery time.Duration
	// AlertRefused is nil when nobody is told of refused deliveries.
	AlertRefused *AlertRefused
	// Reconcile is nil when absent.
	Reconcile *Reconcile

	// The scheme of `provider: hmac`, nil when absent. These are mappings as
	// they stand in the file, for the provider package to decode with
	// yaml.WithKnownFields. They hold no aliases and no duplicate keys.
	Signature, SecretFormat, Event, Retries *yaml.Node
}

// Reconcile asks a source's provider what has happened, and has what never came
// started. Whether the provider can be asked is not checked.
type Reconcile struct {
	// Every is how often; default 1h.
	Every time.Duration
	// Window is how far back each time; zero means 24h, or as far as the
	// provider's list goes back if that is less.
	Window time.Duration
	// Settle is how old an event has to be before it counts as missing; zero
	// means as the provider's file says.
	Settle time.Duration
	// Key is the key of the provider's API.
	Key Secret
	// URL is the address of the provider's API, without a trailing slash; empty
	// means the one in the provider's file.
	URL string
}

// Forward sends events on to a service of the operator's own.
type Forward struct {
	// URL is absolute, http or https, and holds no user or password.
	URL string
	// Secret signs what is forwarded; zero means that it goes unsigned.
	Secret Secret
	// Headers are patterns of the Event's headers that are sent along. They
	// are canonical: "X-Shopify-*". Empty means none.
	Headers []string
}

// Rate limits deliveries of one source; those above it are answered 429.
type Rate struct {
	PerSecond float64
	// Burst is how many may come at once; default PerSecond, rounded up.
	Burst int
}

// AlertRefused is how many deliveries of one source may be refused, for the
// sender's fault (4xx) or for ours (503), before somebody is told.
type AlertRefused struct {
	PerMinute int
}

// Retries says how Activities are retried.
type Retries struct {
	// Default is for the Activities that ByActivity does not name.
	Default Retry
	// ByActivity is complete: what an entry leaves unset is filled in. Whether
	// those Activities exist is not checked.
	ByActivity map[string]Retry
}

// Of returns how the Activity of that name is retried.
func (r Retries) Of(activity string) Retry {
	if named, ok := r.ByActivity[activity]; ok {
		return named
	}
	return r.Default
}

// Local lists the Activities whose first attempt is made where the Workflow
// runs, in the order of their names.
func (r Retries) Local() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(r.ByActivity)) {
		if r.ByActivity[name].First == FirstLocal {
			names = append(names, name)
		}
	}
	return names
}

// RetriesOf returns how the Activities in the runs of a source are retried.
func (l *Live) RetriesOf(s Source) Retries {
	if s.Retry != nil {
		return *s.Retry
	}
	return l.Retry
}

// Retry is how an Activity is retried. A run parks when the attempts are used
// up.
type Retry struct {
	Initial  time.Duration // before the second attempt; default 1s
	Backoff  float64       // what each wait is multiplied by; default 2
	Max      time.Duration // the longest wait; default 1h
	Attempts int           // in all, the first included; default 40
	Timeout  time.Duration // of one attempt; default 30s
	First    First         // where the first attempt is made; default FirstQueue
	// TaskQueue is where the Activity runs; empty for the Task Queue of its run.
	TaskQueue string
}

// First is where the first attempt of a step is made.
type First string

// The places of a first attempt.
const (
	FirstQueue First = "queue" // by any worker that polls the Task Queue
	FirstLocal First = "local" // where the Workflow runs, in its Workflow Task
)

// Alerts is whom to tell about parked runs and refused deliveries.
type Alerts struct {
	// To are notification URLs. They are secrets, because they hold tokens.
	// With none, nobody is told of anything.
	To []Secret
	// WebUI is the absolute URL of Temporal's Web UI, without a trailing
	// slash, for links to the parked runs. It is empty when absent.
	WebUI string
	// DigestEvery is how often, at most, a source's number of parked runs is
	// told; default 15m.
	DigestEvery time.Duration
	// EscalateAfter is how long a run may stay parked before it is told about
	// again; default 24h.
	EscalateAfter time.Duration
}

// Log is what a log at debug level shows.
type Log struct {
	// Mask are the places in JSON payloads that it does not show, besides
	// credentials and signatures: names and indexes, separated by dots, with
	// "#" for each item of a list and "*" for each member of a mapping.
	Mask []string
	// MaskHeaders are patterns of the headers that it does not show, and that
	// no Event keeps. They are canonical: "X-Internal-*".
	MaskHeaders []string
}

// The values of Config.Admin that are no address of the operator's.
const (
	DefaultAdmin = "127.0.0.1:8081"
	AdminOff     = "off"
)

const (
	// MaxBodyLimit is the largest MaxBody, 32 MiB.
	MaxBodyLimit = 32 << 20
	// MaxInHistory is the largest payload that goes without a PayloadStore, 1.9
	// MiB: Temporal stores at most 2 MiB a payload, and the rest is room for
	// what travels with it.
	MaxInHistory = 19 << 20 / 10
)

// defaultStore is the file of a store that the config says nothing of.
const defaultStore = "hookyard.db"

// defaults returns what a file in the folder dir that says nothing means.
func defaults(dir string) *Config {
	return &Config{
		Fixed: Fixed{
			Listen:   "127.0.0.1:8080",
			Temporal: Temporal{TaskQueue: "hookyard"},
			Store:    Store{SQLite: within(dir, defaultStore)},
			Journal:  Journal{MaxSize: 1 << 30, InFlight: 64},
		},
		Live: Live{
			Retry: Retries{Default: Retry{
				Initial:  time.Second,
				Backoff:  2,
				Max:      time.Hour,
				Attempts: 40,
				Timeout:  30 * time.Second,
			}},
			Alerts: Alerts{DigestEvery: 15 * time.Minute, EscalateAfter: 24 * time.Hour},
		},
	}
}

// sourceDefaults returns what a source that says nothing means.
func sourceDefaults(name string) Source {
	return Source{Name: name, MaxBody: 1 << 20}
}

// Source returns the source of that name.
func (c *Config) Source(name string) (Source, bool) {
	for _, s := range c.Sources {
		if s.Name == name {
			return s, true
		}
	}
	return Source{}, false
}
