package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/hookyard/hookyard/ingest/provider"
)

// convoy is a gateway whose users each choose how it signs. It is no provider
// of the catalog, which describes one way each: its options, hash, encoding and
// advanced, configure the generic one.
const convoy = "convoy"

func bindConvoy(catalog *provider.Catalog, l deliveryLine) (*provider.Receiver, error) {
	generic, ok := catalog.Lookup("hmac")
	if !ok {
		return nil, errors.New("there is no generic provider to configure")
	}
	option := func(name string) string { return strings.Join(l.Options[name], " ") }
	signature := map[string]any{
		"header":    "X-Convoy-Signature",
		"algorithm": "hmac-" + strings.ToLower(option("hash")),
		"encoding":  option("encoding"),
		"content":   "{body}",
	}
	if option("advanced") == "true" {
		signature["content"] = "{timestamp},{body}"
		signature["list"] = map[string]any{"separator": ",", "key": "=", "want": []string{"v1"}}
		signature["timestamp"] = map[string]any{"from": "signature", "key": "t", "tolerance": "5m"}
	}
	text, err := json.Marshal(signature) // which is YAML, too
	if err != nil {
		return nil, err
	}
	var node yaml.Node
	if err := yaml.Load(text, &node); err != nil {
		return nil, err
	}
	p, problems := generic.Configured("", map[string]*yaml.Node{"signature": node.Content[0]})
	if len(problems) > 0 {
		return nil, fmt.Errorf("provider %q: %s", convoy, problems[0].Text)
	}
	l.Options = nil
	return l.bindTo(p)
}
