package activities_test

import (
	"context"
	"encoding/base64"
	"io"
	"math"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/tests/peers"
)

const sender = "Shop <billing@shop.example>"

func receipt() activities.Receipt {
	return activities.Receipt{
		Key: "stripe:evt_1:SendReceipt", To: "ada@example.com", Customer: "Ada Lovelace", Invoice: "in_1",
		Amount: 1250, Currency: "eur", PaidAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
}

// read parses a mail and decodes its body.
func read(t *testing.T, text string) (mail.Header, string) {
	t.Helper()
	message, err := mail.ReadMessage(strings.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, "quoted-printable", message.Header.Get("Content-Transfer-Encoding"))
	body, err := io.ReadAll(quotedprintable.NewReader(message.Body))
	require.NoError(t, err)
	return message.Header, strings.ReplaceAll(string(body), "\r\n", "\n")
}

func TestSendReceiptBySMTP(t *testing.T) {
	t.Parallel()
	s := peers.NewMailServer(t, nil)
	m, err := activities.OpenSMTP(strings.Replace(s.URL, "://", "://me:p%40ss@", 1), sender)
	require.NoError(t, err)
	require.NoError(t, peers.RunActivity(t, m.SendReceipt, receipt()))

	header, body := read(t, s.Only(t))
	require.Equal(t, `"Shop" <billing@shop.example>`, header.Get("From"))
	require.Equal(t, `"Ada Lovelace" <ada@example.com>`, header.Get("To"))
	require.Equal(t, "Receipt for invoice in_1", header.Get("Subject"))
	require.Equal(t, "auto-generated", header.Get("Auto-Submitted"))
	require.Regexp(t, `^<[0-9a-f]{32}@shop\.example>$`, header.Get("Message-ID"))
	require.Equal(t, "Hello Ada Lovelace,\n\nwe received your payment of 12.50 EUR for invoice in_1 on 1 March 2026.\n\nThank you.\n", body)
	require.Empty(t, cmp.Diff([]string{"AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00me\x00p@ss"))}, s.Auth()))
}

// Attempts of one step have one Message-ID, and steps have different ones.
func TestReceiptMessageID(t *testing.T) {
	t.Parallel()
	s := peers.NewMailServer(t, nil)
	m, err := activities.OpenSMTP(s.URL, sender)
	require.NoError(t, err)
	other := receipt()
	other.Key = "stripe:evt_2:SendReceipt"
	ids := map[string]int{}
	for _, r := range []activities.Receipt{receipt(), receipt(), other} {
		require.NoError(t, peers.RunActivity(t, m.SendReceipt, r))
	}
	for _, text := range s.Mails() {
		header, _ := read(t, text)
		ids[header.Get("Message-ID")]++
	}
	require.Len(t, ids, 2)
	require.Empty(t, s.Auth())
}

func TestSMTPOutcomes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		replies map[string]string
		want    string // "" for none
		says    string
	}{
		{"550 for the recipient", map[string]string{"RCPT": "550 5.1.1 no such user"}, activities.Refused, "5.1.1 no such user"},
		{"554 for the sender", map[string]string{"MAIL": "554 go away"}, activities.Refused, "go away"},
		{"552 for the mail", map[string]string{".": "552 too large"}, activities.Refused, "too large"},
		{"535 for the password", map[string]string{"AUTH": "535 wrong password"}, activities.Refused, "535"},
		{"554 at once", map[string]string{"CONNECT": "554 blocked"}, activities.Refused, "blocked"},
		{"451 for the recipient", map[string]string{"RCPT": "451 later"}, activities.Unavailable, "later"},
		{"452 for the mail", map[string]string{".": "452 disk full"}, activities.Unavailable, "disk full"},
		{"421 at once", map[string]string{"CONNECT": "421 busy"}, activities.Unavailable, "busy"},
		{"hangs up", map[string]string{"MAIL": "hang up"}, activities.Unavailable, "EOF"},
		{"a reply in two lines", map[string]string{"RCPT": "550-no\r\n550 such user"}, activities.Refused, "such user"},
		{"fails after taking it", map[string]string{"RSET": "451 later", "QUIT": "500 what"}, "", ""},
		{"hangs up after taking it", map[string]string{"RSET": "hang up"}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := peers.NewMailServer(t, tt.replies)
			m, err := activities.OpenSMTP(strings.Replace(s.URL, "://", "://me:secret@", 1), sender)
			require.NoError(t, err)
			err = peers.RunActivity(t, m.SendReceipt, receipt())
			if tt.want == "" {
				require.NoError(t, err)
				s.Only(t)
				return
			}
			failure := peers.RequireFailure(t, err, tt.want)
			require.Contains(t, failure.Message(), tt.says)
			require.Contains(t, failure.Message(), strings.TrimPrefix(s.URL, "smtp://"))
			require.NotContains(t, failure.Message(), "secret")
			require.NotContains(t, failure.Message(), "\n")
			require.Empty(t, s.Mails())
		})
	}
}

func TestSMTPEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := peers.NewMailServer(t, map[string]string{"RCPT": "say nothing"})
	m, err := activities.OpenSMTP(s.URL, sender)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	failure := peers.RequireFailure(t, m.SendReceipt(ctx, receipt()), activities.Unavailable)
	require.Contains(t, failure.Message(), "it did not finish in time")
}

func TestSMTPUnreachable(t *testing.T) {
	t.Parallel()
	m, err := activities.OpenSMTP("smtp://127.0.0.1:1", sender)
	require.NoError(t, err)
	failure := peers.RequireFailure(t, peers.RunActivity(t, m.SendReceipt, receipt()), activities.Unavailable)
	require.Contains(t, failure.Message(), "connection refused")
}

func TestSendReceiptToFolder(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "a", "b")
	m, err := activities.OpenMailFolder(folder, sender)
	require.NoError(t, err)

	// Attempts that overlap leave one file, which a later one does not touch.
	var sending sync.WaitGroup
	errs := make([]error, 10)
	for i := range errs {
		sending.Go(func() { errs[i] = peers.RunActivity(t, m.SendReceipt, receipt()) })
	}
	sending.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	files := list(t, folder)
	require.Len(t, files, 1)
	require.Regexp(t, `^stripe_evt_1_SendReceipt-[0-9a-f]{16}\.eml$`, files[0])
	text, err := os.ReadFile(filepath.Join(folder, files[0]))
	require.NoError(t, err)
	_, body := read(t, string(text))
	require.Contains(t, body, "12.50 EUR")
	require.NoError(t, os.WriteFile(filepath.Join(folder, files[0]), []byte("picked up"), 0o600))
	require.NoError(t, peers.RunActivity(t, m.SendReceipt, receipt()))
	text, err = os.ReadFile(filepath.Join(folder, files[0]))
	require.NoError(t, err)
	require.Equal(t, "picked up", string(text))

	// Keys that look alike, or like a path, are files of their own in there.
	for _, key := range []string{"stripe_evt_1_SendReceipt", "../../x", "...", "\xff\x00", strings.Repeat("long", 1000)} {
		r := receipt()
		r.Key = key
		require.NoError(t, peers.RunActivity(t, m.SendReceipt, r), "%q", key)
	}
	require.Len(t, list(t, folder), 6)

	// Without the folder, the step waits for somebody to bring it back.
	require.NoError(t, os.RemoveAll(folder))
	peers.RequireFailure(t, peers.RunActivity(t, m.SendReceipt, receipt()), activities.Unavailable)
}

// list returns the names in the folder, all of which must be complete mails.
func list(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, entry := range entries {
		require.True(t, strings.HasSuffix(entry.Name(), ".eml") && !strings.HasPrefix(entry.Name(), "."), entry.Name())
		names = append(names, entry.Name())
	}
	return names
}

func TestSendReceiptBadAddress(t *testing.T) {
	t.Parallel()
	s := peers.NewMailServer(t, nil)
	m, err := activities.OpenSMTP(s.URL, sender)
	require.NoError(t, err)
	for _, to := range []string{
		"", "ada", "@example.com", "ada@", "ada@example.com, eve@example.com",
		"ada@example.com\r\nBcc: eve@example.com", "ada@example.com\n", "\"a\r\nDATA\r\n\"@example.com", "a\x00@example.com",
	} {
		r := receipt()
		r.To = to
		peers.RequireFailure(t, peers.RunActivity(t, m.SendReceipt, r), activities.BadAddress)
	}
	r := receipt()
	r.Key = ""
	peers.RequireFailure(t, peers.RunActivity(t, m.SendReceipt, r), activities.MissingKey)
	require.Empty(t, s.Mails())
}

func TestReceiptHeadersCannotBeInjected(t *testing.T) {
	t.Parallel()
	evil := "x\r\nBcc: eve@example.com\r\n\r\nhello\x00é"
	s := peers.NewMailServer(t, nil)
	m, err := activities.OpenSMTP(s.URL, sender)
	require.NoError(t, err)
	r := receipt()
	r.Key, r.Customer, r.Invoice, r.Currency = evil, evil, evil, evil
	require.NoError(t, peers.RunActivity(t, m.SendReceipt, r))

	header, body := read(t, s.Only(t))
	require.NotContains(t, header, "Bcc")
	to, err := mail.ParseAddress(header.Get("To"))
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(mail.Address{Name: "x Bcc: eve@example.com hello é", Address: "ada@example.com"}, *to))
	subject, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
	require.NoError(t, err)
	require.Equal(t, "Receipt for invoice x Bcc: eve@example.com hello é", subject)
	require.Equal(t, 5, strings.Count(body, "\n"), body)
	for line := range strings.Lines(s.Mails()[0]) {
		require.LessOrEqual(t, len(line), 998)
	}
}

func TestReceiptAmounts(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	m, err := activities.OpenMailFolder(folder, sender)
	require.NoError(t, err)
	for _, tt := range []struct {
		amount         int64
		currency, want string
	}{
		{1250, "eur", "12.50 EUR"},
		{5, "USD", "0.05 USD"},
		{0, "usd", "0.00 USD"},
		{-5, "usd", "-0.05 USD"},
		{-123456, "usd", "-1234.56 USD"},
		{1250, "jpy", "1250 JPY"},
		{0, "krw", "0 KRW"},
		{1250, "kwd", "1.250 KWD"},
		{5, "bhd", "0.005 BHD"},
		{5, "clf", "0.0005 CLF"},
		{1250, "rsd", "12.50 RSD"},
		{math.MaxInt64, "usd", "92233720368547758.07 USD"},
		{math.MinInt64, "usd", "-92233720368547758.08 USD"},
		{100, "", "1.00"},
	} {
		r := receipt()
		r.Key, r.Amount, r.Currency = tt.want, tt.amount, tt.currency
		require.NoError(t, peers.RunActivity(t, m.SendReceipt, r))
	}
	var said []string
	for _, name := range list(t, folder) {
		text, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		_, body := read(t, string(text))
		said = append(said, body)
	}
	require.Len(t, said, 14)
	all := strings.Join(said, "")
	for _, want := range []string{
		"12.50 EUR", "0.05 USD", "0.00 USD", "-0.05 USD", "-1234.56 USD", "1250 JPY", "0 KRW", "1.250 KWD",
		"0.005 BHD", "0.0005 CLF", "12.50 RSD", "92233720368547758.07 USD", "-92233720368547758.08 USD", "1.00",
	} {
		require.Contains(t, all, "payment of "+want+" for invoice")
	}
}

func TestOpenMailErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, from, says string }{
		{"smtp://host", "", "mail.from: there is no address"},
		{"smtp://host", "Shop", `mail.from: "Shop" is not an e-mail address`},
		{"", sender, "mail.smtp is not a URL"},
		{"host:25", sender, "mail.smtp is not a URL"},
		{"smtp://me:secret%zz@host", sender, "mail.smtp is not a URL"},
		{"http://me:secret@host", sender, `mail.smtp has scheme "http"; want smtp or smtps`},
		{"smtp://me:secret@host:0", sender, `mail.smtp has port "0"; want 1 to 65535`},
		{"smtp://me:secret@host:99999", sender, `mail.smtp has port "99999"; want 1 to 65535`},
		{"smtp://me:secret@host?tls=off", sender, "there is only tls=none"},
		{"smtp://me:secret@host?tls=none&x=1", sender, "there is only tls=none"},
		{"smtps://host?tls=none", sender, "both smtps and tls=none"},
		{"smtp://me:secret@host?tls=none", sender, `would send a password to "host" unencrypted`},
	} {
		_, err := activities.OpenSMTP(tt.url, tt.from)
		require.ErrorContains(t, err, tt.says, tt.url)
		require.NotContains(t, err.Error(), "secret")
	}
	_, err := activities.OpenMailFolder("", sender)
	require.ErrorContains(t, err, "mail.folder is empty")
	_, err = activities.OpenMailFolder(t.TempDir(), "")
	require.ErrorContains(t, err, "mail.from: there is no address")
}
