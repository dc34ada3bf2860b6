package main

import (
	"net/netip"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
)

// webUI is a Web UI that is being served.
type webUI struct {
	server *uiserver.Server
	done   chan struct{}
}

// startUI serves the Web UI. It does not wait for it: ready does.
//
// When the UI cannot listen, its own code logs that and exits the process.
// The port was reserved before, so this is not met in practice.
func startUI(opts options, addrs addresses) webUI {
	ui := webUI{
		server: uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
			Host:                urlHost(addrs.ui.Addr()),
			Port:                int(addrs.ui.Port()),
			TemporalGRPCAddress: dialable(addrs.frontend).String(),
			EnableUI:            true,
			Codec:               uiconfig.Codec{Endpoint: opts.uiCodecEndpoint},
			// It is served over plain HTTP, where a browser drops
			// cookies marked secure, and with them every action.
			CORS:     uiconfig.CORS{CookieInsecure: true},
			HideLogs: true,
			// A development server calls nobody.
			DisableNewsFetch:   true,
			NotifyOnNewVersion: false,
		})),
		done: make(chan struct{}),
	}
	go func() {
		defer close(ui.done)
		_ = ui.server.Start() // it only ever returns nil
	}()
	return ui
}

func (ui webUI) stop() {
	ui.server.Stop()
	<-ui.done
}

// urlHost is ip as it stands before a colon and a port.
func urlHost(ip netip.Addr) string {
	if ip.Is6() {
		return "[" + ip.String() + "]"
	}
	return ip.String()
}
