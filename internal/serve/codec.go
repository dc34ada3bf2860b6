package serve

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/payload"
)

type codecOptions struct {
	file, listen, token string
	origins             []string
	cert, key           string
}

func codecCommand(env command.Env) *cobra.Command {
	var o codecOptions
	cmd := &cobra.Command{
		Use:   "codec",
		Short: "Decrypt payloads for Temporal's Web UI",
		Long: `Run a codec server: the Web UI, in a person's browser, sends it what is encrypted
or in the payload store, and shows what comes back. Set its address in the Web UI
(glasses icon), or for all as TEMPORAL_CODEC_ENDPOINT of the Web UI's server.

Who reaches it reads payloads. It listens on this machine alone unless --listen
says otherwise; any other address needs --token or a proxy that knows people, and
TLS. The browser sends the token if the Web UI passes on access tokens as
Authorization: Bearer.`,
		Example: "  hookyard codec --origin https://temporal.example.com",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), env) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.file, "config", "c", command.DefaultConfig, "the config file, for its encryption and payload_store")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8083", "host:port to listen on")
	flags.StringSliceVar(&o.origins, "origin", []string{"http://127.0.0.1:8233", "http://localhost:8233"}, "origin of a Web UI that may ask, scheme://host:port")
	flags.StringVar(&o.token, "token", "", "reference to the token that callers need, env:NAME or file:PATH; default none")
	flags.StringVar(&o.cert, "tls-cert", "", "PEM file of a certificate; with --tls-key it serves HTTPS")
	flags.StringVar(&o.key, "tls-key", "", "PEM file of its key")
	return cmd
}

func (o codecOptions) run(ctx context.Context, env command.Env) error {
	token, err := o.check(env)
	if err != nil {
		return err
	}
	payloads, err := command.FindPayloads(ctx, o.file, env)
	if err != nil {
		return err
	}
	defer func() { _ = payloads.Close() }() // it only reads
	handler, err := payload.CodecHandler(payloads.Codec, payloads.Store)
	if err != nil {
		return err
	}
	l, err := command.Listen(ctx, o.listen, "--listen")
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           guardCodec(handler, o.origins, token),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		stopped <- server.Shutdown(ending)
	}()
	fmt.Fprintf(env.Stderr, "codec server on %s, for %s\n", l.Addr(), strings.Join(o.origins, ", "))
	if o.cert != "" {
		err = server.ServeTLS(l, o.cert, o.key)
	} else {
		err = server.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return <-stopped
	}
	return err
}

// check returns the token, "" for none.
func (o codecOptions) check(env command.Env) (token string, err error) {
	for _, origin := range o.origins {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || origin != u.Scheme+"://"+u.Host {
			return "", fmt.Errorf("--origin: want scheme://host:port and no path, found %q", origin)
		}
	}
	if (o.cert == "") != (o.key == "") {
		return "", errors.New("--tls-cert and --tls-key belong together; give both")
	}
	if o.token != "" {
		secret, err := config.ReadSecret(o.token, config.Options{LookupEnv: env.LookupEnv})
		if err != nil {
			return "", fmt.Errorf("--token: %w", err)
		}
		return secret.Reveal(), nil
	}
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return "", fmt.Errorf("--listen: want host:port, found %q", o.listen)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", fmt.Errorf("--listen %s: others would read payloads there; add --token env:NAME", o.listen)
	}
	return "", nil
}

// maxCoded bounds a request: the Web UI asks for a page of a history at once.
const maxCoded = 64 << 20

// guardCodec answers browsers' questions about origins, and refuses who is not
// to ask.
func guardCodec(next http.Handler, origins []string, token string) http.Handler {
	want := sha256.Sum256([]byte("Bearer " + token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		w.Header().Set("Vary", "Origin")
		w.Header().Set("Cache-Control", "no-store")
		if origin != "" {
			if !slices.Contains(origins, origin) {
				http.Error(w, "this origin may not ask; add it with --origin", http.StatusForbidden)
				return
			}
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Set("Access-Control-Allow-Credentials", "true")
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Namespace")
			w.Header().Set("Access-Control-Allow-Methods", "POST")
		}
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if token != "" && subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			http.Error(w, "want Authorization: Bearer and the token", http.StatusUnauthorized)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxCoded)
		next.ServeHTTP(w, r)
	})
}
