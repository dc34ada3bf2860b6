package tools

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/tests/harness/vectors"
)

// verifyJSON answers the lines, as `hookyard verify --json` does.
func verifyJSON(t *testing.T, lines string, args ...string) []verdictLine {
	var out bytes.Buffer
	env := command.Env{Stdin: strings.NewReader(lines), Stdout: &out, Stderr: &out}
	err := command.Execute(t.Context(), env, append([]string{"verify", "--json"}, args...), Commands(env)...)
	require.NoError(t, err, "%s", &out)
	var answers []verdictLine
	for line := range strings.Lines(out.String()) {
		var a verdictLine
		require.NoError(t, json.Unmarshal([]byte(line), &a), line)
		answers = append(answers, a)
	}
	return answers
}

// TestVerifyVectors puts every signed request with a known answer through
// `verify --json`, as it stands in the file.
func TestVerifyVectors(t *testing.T) {
	t.Parallel()
	all := vectors.Read(t)
	var in bytes.Buffer
	for _, v := range all {
		in.Write(append(v.Line, '\n'))
	}
	answers := verifyJSON(t, in.String())
	require.Len(t, answers, len(all))

	for i, v := range all {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			a := answers[i]
			require.JSONEq(t, `"`+v.ID+`"`, string(a.ID))
			require.NotEqual(t, badLine, a.Reason, a.Because)
			require.Equal(t, v.Accept(), a.Accept, a.Because)
			if v.Secret != "" {
				require.NotContains(t, a.Because, v.Secret)
			}
			if v.Accept() {
				requireNamed(t, v, a)
			} else {
				require.NotEmpty(t, a.Reason)
				require.NotEmpty(t, a.Because)
			}
			requireAnswered(t, v, a)
		})
	}
}

// requireNamed compares what the case says of the event; where it says
// nothing, the provider sends nothing that the case's source knew of.
func requireNamed(t *testing.T, v vectors.Vector, a verdictLine) {
	if v.EventID != nil {
		require.NotNil(t, a.EventID, a.Because)
		require.Equal(t, *v.EventID, *a.EventID)
	}
	if v.EventType != nil {
		require.NotNil(t, a.EventType, a.Because)
		require.Equal(t, *v.EventType, *a.EventType)
	}
}

func requireAnswered(t *testing.T, v vectors.Vector, a verdictLine) {
	want := v.Response
	if want == nil {
		return
	}
	require.NotNil(t, a.Response)
	require.Equal(t, want.Status, a.Response.Status)
	for name, value := range want.Headers {
		require.Contains(t, a.Response.Headers[name], value, name)
	}
	if want.Body != nil {
		require.NotNil(t, a.Response.Body)
		require.Equal(t, *want.Body, *a.Response.Body)
	}
	if want.BodyJSON != nil {
		require.NotNil(t, a.Response.Body)
		require.JSONEq(t, string(want.BodyJSON), *a.Response.Body)
	}
}

// genuine is a delivery of Stripe's under the secret whsec_test_secret.
const genuine = `"method":"POST","url":"https://h/webhooks/stripe","now_unix":1700000000,` +
	`"headers":{"Stripe-Signature":"t=1700000000,v1=4b09deacfd78ecb1dbab7c006994f980028d1133e46c72f1cfa368854b9bd326"},` +
	`"body":"{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\",\n  \"api_version\": \"2025-08-27.basil\"\n}"`

// TestVerifyLines reads lines that are not like those of the vectors.
func TestVerifyLines(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		line    string
		accept  bool
		reason  string
		because string // a part of it
	}{
		"genuine":          {line: `{"id":"x","provider":"stripe","secret":"whsec_test_secret",` + genuine + `}`, accept: true},
		"scheme wins":      {line: `{"provider":"nobody","scheme":"stripe","secret":"whsec_test_secret",` + genuine + `}`, accept: true},
		"clock":            {line: `{"provider":"stripe","secret":"whsec_test_secret",` + genuine + `,"now_unix":1700000301}`, reason: "stale", because: "5m1s old"},
		"tolerance":        {line: `{"provider":"stripe","secret":"whsec_test_secret",` + genuine + `,"now_unix":1700000301,"tolerance_s":9223372036854775807}`, accept: true},
		"other secret":     {line: `{"provider":"stripe","secret":"whsec_other",` + genuine + `}`, reason: "mismatch"},
		"no secret":        {line: `{"provider":"stripe",` + genuine + `}`, reason: "missing", because: "no secret"},
		"body in base64":   {line: `{"provider":"github","secret":"s","body":"not this one","body_b64":"e30=","headers":{"X-GitHub-Delivery":"d","X-Hub-Signature-256":"sha256=143ca8d517ba1b181025d732b1cf275d90104fca57bb02a565542978aa18c4b6"}}`, accept: true},
		"header twice":     {line: `{"provider":"github","secret":"s","body":"{}","headers":{"X-Hub-Signature-256":["sha256=00","sha256=01"]}}`, reason: "malformed", because: "2 times"},
		"method":           {line: `{"provider":"stripe","secret":"s","method":"PUT"}`, reason: "method", because: `"PUT"; want POST`},
		"nothing fetched":  {line: `{"provider":"paypal","options":{"webhook_id":"1"},"body":"{}","headers":{"PAYPAL-TRANSMISSION-ID":"1","PAYPAL-TRANSMISSION-TIME":"2023-11-14T22:13:20Z","PAYPAL-TRANSMISSION-SIG":"AAAA","PAYPAL-AUTH-ALGO":"SHA256withRSA","PAYPAL-CERT-URL":"https://api.paypal.com/v1/notifications/certs/CERT-1"},"now_unix":1700000000}`, reason: "undecided", because: "verify asks nobody"},
		"not JSON":         {line: `{"provider":`, reason: badLine, because: "line 1: unexpected end of JSON input"},
		"not an object":    {line: `[1]`, reason: badLine, because: "cannot unmarshal array"},
		"not UTF-8":        {line: "{\"provider\":\"stripe\",\"body\":\"\xff\"}", reason: badLine, because: "give the body as body_b64"},
		"unknown provider": {line: `{"provider":"strpe"}`, reason: badLine, because: `unknown provider "strpe"; did you mean "stripe"?`},
		"no provider":      {line: `{"body":"{}"}`, reason: badLine, because: "it names no provider"},
		"unknown option":   {line: `{"provider":"stripe","secret":"s","options":{"colour":"red"}}`, reason: badLine, because: `provider "stripe" has no options; remove "colour"`},
		"option missing":   {line: `{"provider":"paypal"}`, reason: badLine, because: `needs the option "webhook_id"`},
		"option of a map":  {line: `{"provider":"paypal","options":{"webhook_id":{"a":1}}}`, reason: badLine, because: "neither a text nor a list of texts"},
		"wrong secret":     {line: `{"provider":"standard-webhooks","secret":"whsec_!!!"}`, reason: badLine, because: "secret 1: it is not base64"},
		"secret no text":   {line: `{"provider":"stripe","secret":123456}`, reason: badLine, because: "cannot unmarshal number"},
		"negative":         {line: `{"provider":"stripe","tolerance_s":-1}`, reason: badLine, because: "tolerance_s is -1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers := verifyJSON(t, tt.line) // without a line end, too
			require.Len(t, answers, 1)
			a := answers[0]
			require.Equal(t, tt.accept, a.Accept, a.Because)
			if !tt.accept || tt.reason != "" {
				require.Equal(t, tt.reason, a.Reason, a.Because)
			}
			require.Contains(t, a.Because, tt.because)
			require.NotContains(t, a.Because, "!!!")
			require.NotContains(t, a.Because, "123456")
		})
	}
}

// TestVerifyBadLines sends what cannot be read between what can.
func TestVerifyBadLines(t *testing.T) {
	t.Parallel()
	good := `{"id":7,"provider":"stripe","secret":"whsec_test_secret",` + genuine + "}\n"
	long := `{"id":"long","provider":"stripe","body":"` + strings.Repeat("a", maxLine) + "\"}\n"
	answers := verifyJSON(t, good+"\n"+long+"garbage\n"+`{"id":"typed","secret":1}`+"\n"+good+long[:len(long)-1])
	var reasons, ids []string
	for _, a := range answers {
		reasons, ids = append(reasons, a.Reason), append(ids, string(a.ID))
	}
	require.Empty(t, cmp.Diff([]string{"", badLine, badLine, badLine, "", badLine}, reasons))
	require.Empty(t, cmp.Diff([]string{"7", "null", "null", `"typed"`, "7", "null"}, ids))
	require.Contains(t, answers[1].Because, "line 3: the line is longer than 32 MiB")
}

// TestVerifyCertificate gives the certificate and an option on the command
// line, as nothing is fetched.
func TestVerifyCertificate(t *testing.T) {
	t.Parallel()
	all := vectors.Read(t)
	i := slices.IndexFunc(all, func(v vectors.Vector) bool { return strings.Contains(string(v.Line), `"paypal/real"`) })
	require.GreaterOrEqual(t, i, 0)
	v := all[i]
	require.NotEmpty(t, v.CertPEM)
	request := "POST / HTTP/1.1\nHost: example.com\n"
	for name, value := range v.Headers {
		request += name + ": " + value + "\n"
	}
	cert := filepath.Join(t.TempDir(), "cert.pem")
	require.NoError(t, os.WriteFile(cert, []byte(v.CertPEM), 0o600))

	verify := func(args ...string) (string, error) {
		var out bytes.Buffer
		args = append([]string{"verify", "--provider", "paypal", "--at", strconv.FormatInt(v.NowUnix, 10)}, args...)
		env := command.Env{Stdin: strings.NewReader(request + "\n" + v.Body), Stdout: &out, Stderr: &out}
		err := command.Execute(t.Context(), env, args, Commands(env)...)
		return out.String(), err
	}
	said, err := verify("--option", "webhook_id=4JH86294D6297924G", "--cert", cert)
	require.NoError(t, err, said)
	require.Contains(t, said, "verdict         accept")
	said, err = verify("--option", "webhook_id=4JH86294D6297924G")
	require.ErrorIs(t, err, command.ErrSilent)
	require.Contains(t, said, "give it with --cert")
	_, err = verify("--cert", cert)
	require.ErrorContains(t, err, `needs the option "webhook_id"`)
}
