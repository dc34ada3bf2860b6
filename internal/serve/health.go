package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/telemetry"
)

func healthCommand(env command.Env) *cobra.Command {
	var (
		admin string
		live  bool
	)
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask an edge or a worker whether it is ready",
		Long: `Ask the edge or worker on this machine, at its admin address, whether it is
ready: Temporal is reachable, and its namespace and Search Attributes are there.
With --live, ask only whether it answers at all.

It prints one line and exits 0 or 1, as the health check of a container wants.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path := "/readyz"
			if live {
				path = "/healthz"
			}
			address, err := reachableAdmin(admin)
			if err != nil {
				return err
			}
			said, err := askHealth(cmd.Context(), "http://"+address+path)
			if err != nil {
				return fmt.Errorf("%s: %w", address, err)
			}
			_, err = fmt.Fprintf(env.Stdout, "%s: %s\n", address, said)
			return err
		},
	}
	cmd.Flags().StringVar(&admin, "admin", config.DefaultAdmin, "the admin address")
	cmd.Flags().BoolVar(&live, "live", false, "ask whether it is alive, not whether it is ready")
	return cmd
}

// reachableAdmin turns an address to listen on (":8081", "0.0.0.0:8081") into
// one to ask.
func reachableAdmin(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return "", command.Usage(fmt.Errorf("--admin %q: want host:port such as %s", address, config.DefaultAdmin))
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port), nil
}

// healthPatience is longer than a process takes to find out.
const healthPatience = 5 * time.Second

// askHealth returns what a healthy process says. The error is what a sick one
// says.
func askHealth(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := (&http.Client{}).Do(req)
	if errors.Is(err, context.DeadlineExceeded) {
		return "", fmt.Errorf("no answer within %s", healthPatience)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return "", errors.New("nothing answers there; start a service, or name its admin address with --admin")
	}
	if err != nil {
		return "", fmt.Errorf("no answer: %w", errors.Unwrap(err))
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return "", err
	}
	if resp.StatusCode == http.StatusOK {
		return strings.TrimSpace(string(said)), nil
	}
	var problem telemetry.Problem
	if err := json.Unmarshal(said, &problem); err != nil || problem.Title == "" {
		return "", fmt.Errorf("answered %s; is this the admin address of hookyard?", resp.Status)
	}
	return "", fmt.Errorf("%s: %s", problem.Title, problem.Detail)
}
