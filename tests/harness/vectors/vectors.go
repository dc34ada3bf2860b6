// Package vectors reads the signed requests with known answers, which
// providers' own libraries, test suites and documentation made. All tests that
// put them through a part of the product read them here.
package vectors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Vector is one request with its answer.
type Vector struct {
	ID, Provider, Scheme, Kind, Method, URL string
	Headers                                 map[string]string
	Body, Secret                            string
	PublicKey                               string `json:"public_key"`
	CertPEM                                 string `json:"cert_pem"` // the document at the URL that the request names
	Options                                 map[string]any
	NowUnix                                 int64 `json:"now_unix"`    // seconds
	ToleranceS                              int64 `json:"tolerance_s"` // seconds
	Expect                                  string
	StrictExpect                            string  `json:"strict_expect"` // wins over Expect
	EventID                                 *string `json:"event_id"`
	EventType                               *string `json:"event_type"`
	Response                                *Response

	// Line is the vector as JSON on one line, as `hookyard verify --json` reads
	// it.
	Line []byte `json:"-"`
}

// Response is the answer that a provider wants to a handshake.
type Response struct {
	Status   int
	Headers  map[string]string
	Body     *string
	BodyJSON json.RawMessage `json:"body_json"`
}

// Name is the provider's name in the catalog.
func (v Vector) Name() string { return cmp.Or(v.Scheme, v.Provider) }

// Accept reports whether the request is genuine.
func (v Vector) Accept() bool { return cmp.Or(v.StrictExpect, v.Expect) == "accept" }

// Read returns the vectors of all files in ingest/provider/testdata.
func Read(t testing.TB) []Vector {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root(t), "ingest/provider/testdata/vectors*.json"))
	require.NoError(t, err)
	var all []Vector
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var lines []json.RawMessage
		require.NoError(t, json.Unmarshal(text, &lines), file)
		for _, line := range lines {
			var v Vector
			require.NoError(t, json.Unmarshal(line, &v), "%s: %s", file, line)
			var compact bytes.Buffer
			require.NoError(t, json.Compact(&compact, line))
			v.Line = compact.Bytes()
			all = append(all, v)
		}
	}
	require.Greater(t, len(all), 200, "the files of %v", files)
	return all
}

// root returns the folder of the repository: the nearest one above the test's
// with a go.mod.
func root(t testing.TB) string {
	folder, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
		require.NotEqual(t, filepath.Dir(folder), folder, "there is no go.mod above the test")
		folder = filepath.Dir(folder)
	}
}
