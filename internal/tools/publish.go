package tools

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/send"
)

func publishCommand(env command.Env) *cobra.Command {
	a := &sendingAPI{env: env}
	var id, data, file, kind string
	cmd := &cobra.Command{
		Use:   "publish TENANT TYPE",
		Short: "Publish an event to the endpoints of a tenant",
		Long: `Publish an event: it is sent to each endpoint of the tenant that wants its type.
Once this command says its id, it is stored and will be delivered. An event that
is published again with its --id and the same content is not sent again.`,
		Example: "  hookyard publish acme invoice.paid --data '{\"type\": \"invoice.paid\"}'\n  hookyard publish acme report.ready --file report.pdf --content-type application/pdf",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			e := send.Event{ID: id, Tenant: args[0], Type: args[1], ContentType: kind}
			switch {
			case data != "" && file == "" && json.Valid([]byte(data)):
				e.Data, e.ContentType = json.RawMessage(data), ""
			case file != "" && data == "":
				body, err := readBody(env, file)
				if err != nil {
					return err
				}
				e.Body = body
			default:
				return command.Usage(errors.New("want either --data, which is JSON, or --file"))
			}
			return a.call(cmd, http.MethodPost, "/v1/events", e, "id", "duplicate", "endpoints", "more")
		},
	}
	a.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&id, "id", "", "the event's id (default a new one)")
	f.StringVar(&data, "data", "", "the event, as JSON")
	f.StringVar(&file, "file", "", "send the bytes of this file; - for standard input")
	f.StringVar(&kind, "content-type", "application/json", "of --file")
	return cmd
}

func readBody(env command.Env, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(env.Stdin)
	}
	return os.ReadFile(file)
}
