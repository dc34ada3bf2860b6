package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/hookyard/hookyard/tests/harness"
)

// network has a proxy on each connection between two parts of the system.
type network struct {
	api   *toxiproxy.ApiServer // proxies need one; it never listens
	links map[string]*proxy
}

func newNetwork() *network {
	return &network{api: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), links: map[string]*proxy{}}
}

// connect returns the address at which one part reaches another.
func (n *network) connect(ctx context.Context, name, upstream string) (string, error) {
	address, err := harness.FreeAddress(ctx)
	if err != nil {
		return "", err
	}
	p := &proxy{api: n.api, name: name, listen: address, upstream: upstream}
	if err := p.open(); err != nil {
		return "", err
	}
	n.links[name] = p
	return address, nil
}

func (n *network) close() {
	for _, p := range n.links {
		p.now.Stop()
	}
}

// proxy is one link.
type proxy struct {
	api                    *toxiproxy.ApiServer
	name, listen, upstream string
	now                    *toxiproxy.Proxy
}

// open starts a proxy that does nothing to what passes.
func (p *proxy) open() error {
	p.now = toxiproxy.NewProxy(p.api, p.name, p.listen, p.upstream)
	if err := p.now.Start(); err != nil {
		return fmt.Errorf("link %s: %w", p.name, err)
	}
	return nil
}

// begin breaks the link. When the fault ends, so do the connections that it
// was on: a new proxy takes the place of the one that was spoiled.
func (p *proxy) begin(ctx context.Context, f Fault) (func(context.Context) error, error) {
	spoiled := p.now
	var err error
	switch f.Kind {
	case Cut:
		spoiled.Stop()
	case Latency:
		// Half of it on each way.
		err = poison(ctx, spoiled, "latency", map[string]int64{"latency": (f.Amount / 2).Milliseconds(), "jitter": (f.Amount / 10).Milliseconds()})
	default:
		// Whatever is sent vanishes, and nobody is told.
		err = poison(ctx, spoiled, "timeout", map[string]int64{"timeout": 0})
	}
	return func(context.Context) error {
		spoiled.Stop()
		return p.open()
	}, err
}

// poison does to both directions what toxiproxy calls a toxic. It does it
// under its lock, and waits in there for each connection; so that a connection
// which never lets go stops the one fault and not the whole run, it is left
// behind then.
func poison(ctx context.Context, p *toxiproxy.Proxy, kind string, attributes map[string]int64) error {
	done := make(chan error, 1)
	go func() {
		for _, direction := range []string{"upstream", "downstream"} {
			toxic, err := json.Marshal(map[string]any{"name": direction, "type": kind, "stream": direction, "attributes": attributes})
			if err == nil {
				_, err = p.Toxics.AddToxicJson(bytes.NewReader(toxic))
			}
			if err != nil {
				done <- fmt.Errorf("%s on %s: %w", kind, p.Name, err)
				return
			}
		}
		done <- nil
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(5 * time.Second):
		return fmt.Errorf("%s on %s: a connection did not let go", kind, p.Name)
	}
}
