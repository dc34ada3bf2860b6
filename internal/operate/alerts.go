package operate

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/worker/alert"
)

func alertsCommand(env command.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "See whether alerts reach anybody",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(alertsTestCommand(env))
	return cmd
}

func alertsTestCommand(env command.Env) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Send a test message to every channel of alerts.to",
		Long: `Send a test message to every channel of alerts.to, and say which took it. Exits 0
if all of them did, 1 otherwise. No Temporal is needed.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return command.Usage(fmt.Errorf("alerts test: unknown argument %q; it tests all channels", args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return testAlerts(cmd.Context(), env, file) },
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "the config file (default hookyard.yaml if it is here, else the demo's)")
	return cmd
}

func testAlerts(ctx context.Context, env command.Env, file string) error {
	file, err := command.FindConfig(file, env)
	if err != nil {
		return err
	}
	set, err := command.Load(file, env, false)
	if err != nil {
		return err
	}
	channels, err := command.OpenChannels(set.Config)
	if err != nil {
		return err
	}
	if len(channels) == 0 {
		return fmt.Errorf("%s tells nobody; add alerts: {to: [env:ALERT_URL]}", file)
	}
	failed := false
	for i, err := range alert.SendAll(ctx, channels, alert.Message{
		Title: "hookyard: this is a test",
		Text:  "Nothing is wrong. Alerts about parked events and refused deliveries come here.",
		Key:   "hookyard/alerts-test",
		Over:  true,
	}) {
		result := "sent"
		if err != nil {
			result, failed = "failed: "+err.Error(), true
		}
		fmt.Fprintf(env.Stdout, "%s  %s\n", channels[i].Name(), result)
	}
	if failed {
		return command.ErrSilent
	}
	return nil
}
