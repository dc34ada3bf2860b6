package activities

import (
	"testing"

	"github.com/stretchr/testify/require"
	gomail "github.com/wneessen/go-mail"
)

// The policy is go-mail's to keep; ours is which one it gets.
func TestOpenSMTPTransport(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url, addr string
		policy    gomail.TLSPolicy
	}{
		{"smtp://me:word@mail.example.com", "mail.example.com:587", gomail.TLSMandatory},
		{"smtp://mail.example.com:2525", "mail.example.com:2525", gomail.TLSMandatory},
		{"smtp://10.0.0.1:25", "10.0.0.1:25", gomail.TLSMandatory},
		{"smtp://relay.internal:25?tls=none", "relay.internal:25", gomail.NoTLS},
		{"smtp://localhost:1025", "localhost:1025", gomail.NoTLS},
		{"smtp://localhost.example.com:1025", "localhost.example.com:1025", gomail.TLSMandatory},
		{"smtp://me:word@127.0.0.1:1025?tls=none", "127.0.0.1:1025", gomail.NoTLS},
		{"smtp://[::1]:1025", "[::1]:1025", gomail.NoTLS},
		{"smtps://me:word@mail.example.com", "mail.example.com:465", gomail.TLSMandatory},
		{"smtps://localhost:4465", "localhost:4465", gomail.TLSMandatory},
	} {
		m, err := OpenSMTP(tt.url, "billing@shop.example")
		require.NoError(t, err, tt.url)
		server := m.via.(smtpServer)
		client, err := gomail.NewClient(server.host, server.options...)
		require.NoError(t, err)
		require.Equal(t, tt.addr, client.ServerAddr(), tt.url)
		require.Equal(t, tt.policy.String(), client.TLSPolicy(), tt.url)
	}
}
