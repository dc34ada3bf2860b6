package alert

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// channelTimeout is how long a channel may take for one message.
const channelTimeout = 15 * time.Second

// channelSends is how many messages to one channel may be under way. Most
// services of the library cannot be stopped, so one that never answers would
// otherwise gather goroutines for as long as it is retried.
const channelSends = 4

// Channel is one place that alerts go to. It may be used by many goroutines.
type Channel struct {
	name    string
	service string // "slack"
	url     string // a secret
	sends   chan struct{}
}

// OpenChannel returns the channel of a notification URL, such as
// slack://hook:token@webhook, pagerduty:///key, smtp://…?to=… or
// generic+https://host/path. It does not connect. Ref is what the config calls
// the URL ("env:ALERT_URL"), which messages and errors name in its place.
func OpenChannel(ref, rawURL string) (*Channel, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme == "" {
		return nil, errors.New("it is not a URL such as slack://hook:token@webhook or generic+https://host/path")
	}
	var services router.ServiceRouter
	service, _, _ := strings.Cut(u.Scheme, "+")
	known := slices.DeleteFunc(services.ListServices(), func(s string) bool {
		return s == "logger" // it tells nobody
	})
	slices.Sort(known)
	if !slices.Contains(known, service) {
		// Its scheme is not repeated: the text may be a token and no URL.
		return nil, fmt.Errorf("its scheme names no service; known: %s", strings.Join(known, ", "))
	}
	if service != "matrix" { // which signs in here already
		if err := locate(&services, rawURL); err != nil {
			return nil, fmt.Errorf("it is not what %q URLs look like", service)
		}
	}
	return &Channel{
		name:    fmt.Sprintf("%s (%s)", service, ref),
		service: service,
		url:     rawURL,
		sends:   make(chan struct{}, channelSends),
	}, nil
}

// locate returns an error where the library knows no such URL, or breaks on it
// as it does on "teams+:".
func locate(services *router.ServiceRouter, rawURL string) (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("the library broke: %v", broken)
		}
	}()
	_, err = services.Locate(rawURL)
	return err
}

// Name returns what the channel is called in logs and errors,
// "slack (env:ALERT_URL)".
func (c *Channel) Name() string { return c.name }

// String returns Name, so that printing a Channel never shows its URL.
func (c *Channel) String() string { return c.name }

// GoString returns Name.
func (c *Channel) GoString() string { return c.name }

// SendAll sends a message to the channels, all at once, and returns what
// became of each, nil where it was taken.
func SendAll(ctx context.Context, channels []*Channel, m Message) []error {
	results := make([]error, len(channels))
	var sending sync.WaitGroup
	for i, c := range channels {
		sending.Go(func() { results[i] = c.Send(ctx, m) })
	}
	sending.Wait()
	return results
}

// Send sends a message. It waits for at most 15 s, and after that the message
// may still arrive. Errors never hold the URL or what the service said, which
// may quote it.
func (c *Channel) Send(ctx context.Context, m Message) error {
	select {
	case c.sends <- struct{}{}:
	default:
		return fmt.Errorf("%d earlier messages have had no answer yet", channelSends)
	}
	ctx, cancel := context.WithTimeout(ctx, channelTimeout)
	defer cancel()
	answered := make(chan error, 1)
	go func() {
		defer func() { <-c.sends }()
		answered <- c.deliver(m)
	}()
	select {
	case err := <-answered:
		return err
	case <-ctx.Done():
		return errors.New("no answer in time")
	}
}

// deliver makes a service per message: some of them keep what a message
// changes about them.
func (c *Channel) deliver(m Message) (err error) {
	defer func() {
		if recover() != nil { // a bug of the library must not end the worker
			err = errors.New("the service's client broke")
		}
	}()
	var services router.ServiceRouter
	service, err := services.Locate(c.url)
	if err != nil {
		return c.redacted(err)
	}
	text := m.Title
	if m.Text != "" {
		text += "\n" + m.Text
	}
	if err := service.Send(text, c.params(m)); err != nil {
		return c.redacted(err)
	}
	return nil
}

// params are what a service takes besides the text.
func (c *Channel) params(m Message) *types.Params {
	switch c.service {
	case "smtp":
		return &types.Params{"subject": m.Title}
	case "gotify", "pushbullet": // which otherwise name the library
		return &types.Params{"title": m.Title}
	case "generic": // fields beside the text, where the URL has template=json
		over := "false"
		if m.Over {
			over = "true"
		}
		return &types.Params{"title": m.Title, "source": m.Source, "link": m.Link, "key": m.Key, "over": over}
	case "pagerduty":
		action := "trigger"
		if m.Over {
			action = "resolve"
		}
		return &types.Params{"dedup_key": m.Key, "action": action}
	default:
		return &types.Params{}
	}
}

// tellable is what an error of a service may say: a status, a word as Slack
// answers ("channel_not_found"), and what went wrong on the network.
var tellable = regexp.MustCompile(`(?:^| )[345]\d\d(?: |$)|\b[a-z]+(?:_[a-z]+)+\b|` +
	`connection refused|connection reset|no such host|network is unreachable|i/o timeout|deadline exceeded|x509: [a-z ]+|unexpected EOF`)

// redacted says of an error only what is known to be harmless. The library
// quotes URLs in its errors, and services quote what they were sent, in forms
// that cannot all be foreseen.
func (c *Channel) redacted(err error) error {
	decoded, unescapeErr := url.PathUnescape(c.url)
	if unescapeErr != nil {
		decoded = ""
	}
	var said []string
	for _, text := range tellable.FindAllString(err.Error(), -1) {
		text = strings.TrimSpace(text)
		if !strings.Contains(c.url, text) && !strings.Contains(decoded, text) && !slices.Contains(said, text) {
			said = append(said, text)
		}
	}
	if len(said) == 0 {
		return errors.New("it failed; why is not shown, since it may hold the URL")
	}
	return fmt.Errorf("it failed: %s", strings.Join(said, ", "))
}
