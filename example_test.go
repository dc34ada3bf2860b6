package hookyard_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard"
	"github.com/hookyard/hookyard/event"
)

// Shop is an outside system. Its exported fields are its settings, and its
// exported methods are Activities.
type Shop struct {
	URL  string       `config:"url,required"`
	HTTP *http.Client `config:"-"`
}

// Refund takes a payment out of the shop's books.
func (s *Shop) Refund(ctx context.Context, key, charge string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/refunds/"+charge, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Idempotency-Key", key)
	resp, err := s.HTTP.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Refunded is what charge.refunded carries.
type Refunded struct {
	Data struct {
		Object struct {
			ID string `json:"id"`
		} `json:"object"`
	} `json:"data"`
}

// ChargeRefunded is a team's Workflow.
func ChargeRefunded(ctx workflow.Context, ev event.Event, refunded Refunded) error {
	var shop *Shop
	return workflow.ExecuteActivity(ctx, shop.Refund, ev.Key("Refund"), refunded.Data.Object.ID).Get(ctx, nil)
}

func ExampleOn() {
	exact := hookyard.On("stripe.charge.refunded", ChargeRefunded, &Shop{})
	pattern := hookyard.On("stripe.*", func(workflow.Context, event.Event, []byte) error { return nil })
	fmt.Println(exact.Pattern(), pattern.Pattern())
	// Output: stripe.charge.refunded stripe.*
}

// A program's whole main is a call of Main with its App. Run is Main for a test:
// here it runs `check` on a config that names the team's Activity under retry,
// and misspells it.
func ExampleRun() {
	app := hookyard.App{Workflows: []hookyard.Handler{
		hookyard.On("stripe.charge.refunded", ChargeRefunded, &Shop{HTTP: &http.Client{}}),
	}}
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	const text = `
sources: {stripe: {provider: stripe, secrets: [env:STRIPE_SECRET]}}
retry: {Refunt: {attempts: 3}}
app: {shop: {url: "https://shop.example"}}
`
	if err := os.WriteFile(dir+"/hookyard.yaml", []byte(text), 0o600); err != nil {
		panic(err)
	}
	var said strings.Builder
	code := hookyard.Run(context.Background(), app, hookyard.Process{
		Args: []string{"check", dir + "/hookyard.yaml"}, Env: []string{"STRIPE_SECRET=whsec_test"}, Stdout: &said, Stderr: &said,
	})
	fmt.Println(code, strings.Contains(said.String(), `there is no Activity "Refunt"`))
	// Output: 1 true
}

// Open connects what settings alone do not make.
func ExampleSetup() {
	type config struct {
		Shop string `config:"shop,required"`
	}
	app := hookyard.App{
		Workflows: []hookyard.Handler{hookyard.On("stripe.charge.refunded", ChargeRefunded, (*Shop)(nil))},
		Config:    config{},
		Open: func(_ context.Context, s hookyard.Setup) ([]any, func() error, error) {
			c, ok := s.Config.(*config)
			if !ok {
				return nil, nil, errors.New("no config")
			}
			connections := &http.Transport{}
			closeAll := func() error {
				connections.CloseIdleConnections()
				return nil
			}
			return []any{&Shop{URL: c.Shop, HTTP: &http.Client{Transport: connections}}}, closeAll, nil
		},
	}
	activities, closeAll, err := app.Open(context.Background(), hookyard.Setup{Config: &config{Shop: "https://shop.example"}})
	if err != nil {
		panic(err)
	}
	fmt.Printf("%T %v\n", activities[0], closeAll())
	// Output: *hookyard_test.Shop <nil>
}
