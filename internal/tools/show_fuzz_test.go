package tools

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzRequestFile gives verify what people keep of a delivery.
func FuzzRequestFile(f *testing.F) {
	f.Add([]byte("POST /webhooks/stripe HTTP/1.1\nHost: h\nStripe-Signature: t=1\n\n{}\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}\n"))
	f.Add([]byte("POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n2\r\n{}\r\n0\r\n\r\n"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := parseRequest(raw)
		if err != nil {
			require.Nil(t, d)
			return
		}
		require.NotEmpty(t, d.Method)
		require.LessOrEqual(t, len(d.Body), len(raw))
		if !bytes.Contains(bytes.ToLower(raw), []byte("chunked")) {
			require.True(t, bytes.Contains(raw, d.Body), "the body is signed as it is in the file")
		}
	})
}
