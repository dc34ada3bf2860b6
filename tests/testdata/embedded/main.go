// Command embedded is a team's program with one of each thing that a team can
// add: a Workflow, an Activity, a section of the config, a provider file and a
// signature scheme.
package main

import (
	"embed"
	"io/fs"

	"github.com/hookyard/hookyard"
	"github.com/hookyard/hookyard/ingest/provider"
)

//go:embed providers
var files embed.FS

func main() {
	providers, err := fs.Sub(files, "providers")
	if err != nil {
		panic(err)
	}
	hookyard.Main(hookyard.App{
		Workflows: []hookyard.Handler{
			hookyard.On("beta.parcel.sent", parcelSent, (*Depot)(nil)),
			hookyard.On("beta.parcel.lost", parcelLost),
		},
		Open:      open,
		Config:    Config{Depot: DepotConfig{Region: "north"}},
		Providers: providers,
		Schemes:   map[string]provider.Scheme{"beta-seal": betaSeal{}},
	})
}
