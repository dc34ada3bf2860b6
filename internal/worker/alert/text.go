package alert

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/failure"
)

// Kind is what an Notice says. Histories hold it: one may be added and
// none renamed.
type Kind string

// The kinds.
const (
	Parked    Kind = "parked"    // a run parked, and none was before
	Digest    Kind = "digest"    // their number is another one now
	Escalated Kind = "escalated" // one has been parked for too long
	Cleared   Kind = "cleared"   // none is parked any more
)

// Notice is what people are told about the parked runs of a source. Each Notice
// can be understood without the ones before it, so that one may be left out. It
// holds no wording: open runs speak as the newest worker does.
type Notice struct {
	Kind   Kind   `json:"kind"`
	Source string `json:"source"`
	// Report is the first run, where Kind is Parked.
	Report *event.ParkedReport `json:"report,omitempty"`
	// Count is what is parked now, and Before how many runs the last message
	// spoke of.
	Count  Count `json:"count"`
	Before int   `json:"before,omitempty"`
}

// Message is what a channel is sent.
type Message struct {
	// Title is one line that says it all, and Text the rest.
	Title, Text string
	// Source is the source that it is about.
	Source string
	// Link is where to look; empty where there is no Web UI.
	Link string
	// Key is the same in all messages about one trouble, and Over is set in
	// the last one. PagerDuty opens and resolves one incident by them.
	Key  string
	Over bool
}

// Links make addresses in Temporal's Web UI.
type Links struct {
	// WebUI is its address, without a trailing slash; if empty, messages name
	// Workflow Ids alone.
	WebUI     string
	Namespace string
	// Private leaves out what the error of a step says: it may quote the payload.
	Private bool
}

// run links to one run.
func (l Links) run(workflowID, runID string) string {
	if l.WebUI == "" {
		return ""
	}
	return fmt.Sprintf("%s/namespaces/%s/workflows/%s/%s/history",
		l.WebUI, url.PathEscape(l.Namespace), url.PathEscape(workflowID), url.PathEscape(runID))
}

// parked links to the list of a source's parked runs.
func (l Links) parked(source string) string {
	if l.WebUI == "" {
		return ""
	}
	return fmt.Sprintf("%s/namespaces/%s/workflows?query=%s", l.WebUI, url.PathEscape(l.Namespace), url.QueryEscape(parkedQuery(source)))
}

func (a Notice) message(links Links) Message {
	m := Message{Source: a.Source, Link: links.parked(a.Source), Key: event.AlertID(a.Source)}
	resume := fmt.Sprintf("Once the cause is gone: hookyard resume --all --source %s", a.Source)
	list := m.Link
	if list != "" {
		list = "All that are parked: " + list
	}
	switch a.Kind {
	case Parked:
		var r event.ParkedReport
		if a.Report != nil {
			r = *a.Report
		}
		m.Title = fmt.Sprintf("%s: %s is parked at %s (%s)", a.Source, orElse(r.EventType, "an event"), r.Step, r.Reason)
		m.Link = links.run(r.WorkflowID, r.RunID)
		text := failure.Printable(r.Error, 400)
		if links.Private {
			text = "What the error says is private: hookyard parked show " + r.WorkflowID
		}
		m.Text = lines(text, "Run: "+orElse(m.Link, r.WorkflowID), list, resume)
	case Cleared:
		m.Title = a.Source + ": nothing is parked any more"
		m.Over = true
	case Escalated:
		m.Title = fmt.Sprintf("%s: %s still parked, the oldest since %s", a.Source, runs(a.Count.Runs), a.Count.since())
		m.Text = lines(a.Count.reasons(), a.Count.oldest(links), list, resume)
	case Digest:
		m.Title = fmt.Sprintf("%s: %s parked (%d at the last message)", a.Source, runs(a.Count.Runs), a.Before)
		m.Text = lines(a.Count.reasons(), a.Count.oldest(links), list, resume)
	}
	m.Title, m.Text = harmless(failure.Printable(m.Title, 200)), harmless(m.Text)
	return m
}

func runs(n int) string {
	if n == 1 {
		return "1 run is"
	}
	return fmt.Sprintf("%d runs are", n)
}

// reasons reads "exhausted 338, permanent 2".
func (c *Count) reasons() string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(c.Reasons)) {
		parts = append(parts, fmt.Sprintf("%s %d", reason, c.Reasons[reason]))
	}
	return strings.Join(parts, ", ")
}

func (c *Count) since() string {
	if c.Oldest == nil {
		return "an unknown time"
	}
	return c.Oldest.Since.UTC().Format(time.DateTime) + " UTC"
}

func (c *Count) oldest(links Links) string {
	if c.Oldest == nil {
		return ""
	}
	return fmt.Sprintf("The oldest, since %s: %s", c.since(),
		orElse(links.run(c.Oldest.WorkflowID, c.Oldest.RunID), c.Oldest.WorkflowID))
}

// lines joins what there is to say, one line each.
func lines(said ...string) string {
	return strings.Join(slices.DeleteFunc(said, func(line string) bool { return line == "" }), "\n")
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// harmless takes from a text what makes Slack and Discord page everybody:
// event types and errors come from outside.
func harmless(text string) string {
	text = strings.NewReplacer("<!", "< !", "<@", "< @").Replace(text)
	return strings.NewReplacer("@everyone", "@ everyone", "@here", "@ here", "@channel", "@ channel").Replace(text) // in "<@here", too
}
