package activities

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// The ways to sign in, best first. Those with NOENC send the password as it
// is, which go-mail otherwise does over TLS only.
var (
	signIn = []gomail.SMTPAuthType{
		gomail.SMTPAuthSCRAMSHA256PLUS, gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1PLUS,
		gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin, gomail.SMTPAuthCramMD5,
	}
	signInWithoutTLS = []gomail.SMTPAuthType{
		gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthCramMD5,
		gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc,
	}
)

// OpenSMTP returns a Mail that sends through the server at the given URL. It
// does not connect yet.
//
//	smtp://user:password@host:587     STARTTLS, without which nothing is sent
//	smtps://user:password@host:465    TLS from the first byte
//	smtp://localhost:1025             no TLS: the host is a loopback address
//	smtp://relay.internal:25?tls=none no TLS, and so no password either
//
// The ports are 587 for smtp and 465 for smtps where the URL has none.
// Characters of the password that mean something in a URL are percent-encoded.
// Errors never hold the URL. From is the sender, "Shop
// <billing@example.com>".
func OpenSMTP(rawURL, from string) (*Mail, error) {
	sender, err := address(from)
	if err != nil {
		return nil, fmt.Errorf("mail.from: %w", err)
	}
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("mail.smtp is not a URL such as smtp://user:password@host:587")
	}
	plain, err := withoutTLS(u)
	if err != nil {
		return nil, err
	}

	server := smtpServer{host: u.Hostname(), dial: new(net.Dialer).DialContext}
	if strings.Contains(server.host, ":") {
		server.host = "[" + server.host + "]" // go-mail appends the port as it is
	}
	var options []gomail.Option
	port := 587
	switch {
	case u.Scheme == "smtps":
		port = 465
		options = append(options, gomail.WithSSL())
		server.dial = (&tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12}}).DialContext
	case plain:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if p := u.Port(); p != "" {
		port, err = strconv.Atoi(p)
		if err != nil || port < 1 || port > 65535 {
			return nil, fmt.Errorf("mail.smtp has port %q; want 1 to 65535", p)
		}
	}
	if user := u.User.Username(); user != "" {
		password, _ := u.User.Password()
		methods := signIn
		if plain {
			methods = signInWithoutTLS
		}
		options = append(options, gomail.WithUsername(user), gomail.WithPassword(password),
			gomail.WithOpportunisticSMTPAuth(methods...))
	}
	server.options = append(options, gomail.WithPort(port))

	// What cannot work is said now and not at the first receipt.
	if _, err := gomail.NewClient(server.host, server.options...); err != nil {
		return nil, fmt.Errorf("mail.smtp: %w", err)
	}
	return &Mail{from: sender, via: server}, nil
}

// withoutTLS reports whether the URL allows mail to be sent in the clear, and
// refuses one that would also send a password so.
func withoutTLS(u *url.URL) (bool, error) {
	if u.Scheme != "smtp" && u.Scheme != "smtps" {
		return false, fmt.Errorf("mail.smtp has scheme %q; want smtp or smtps", u.Scheme)
	}
	query := u.Query()
	off := query.Get("tls") == "none"
	if len(query) > 1 || len(query) == 1 && !off {
		return false, errors.New("mail.smtp has an option that does not exist; there is only tls=none")
	}
	if off && u.Scheme == "smtps" {
		return false, errors.New("mail.smtp says both smtps and tls=none")
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if off && !loopback && u.User != nil {
		return false, fmt.Errorf("mail.smtp would send a password to %q unencrypted: remove tls=none or the user", u.Hostname())
	}
	return u.Scheme == "smtp" && (off || loopback), nil
}

// smtpServer sends each message over a connection of its own.
type smtpServer struct {
	host    string
	options []gomail.Option
	dial    gomail.DialContextFunc
}

func (s smtpServer) deliver(ctx context.Context, _ string, message *gomail.Msg) error {
	// go-mail leaves the connection open where signing in or saying goodbye
	// fails, and does not watch the context once it has one.
	sending, done := withinAttempt(ctx)
	defer done()
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := s.dial(ctx, network, address)
		if err == nil {
			context.AfterFunc(sending, func() { _ = conn.Close() })
		}
		return conn, err
	}
	options := append(slices.Clone(s.options), gomail.WithDialContextFunc(dial))
	if end, bounded := sending.Deadline(); bounded {
		options = append(options, gomail.WithTimeout(max(time.Until(end), time.Millisecond))) // sooner, it has one of its own
	}
	client, err := gomail.NewClient(s.host, options...)
	if err != nil {
		return permanent(NotConfigured, "mail.smtp: %v", err)
	}

	err = client.DialAndSendWithContext(sending, message)
	// Once the server has taken the message, a failure to say goodbye must not
	// send it again.
	if err == nil || message.IsDelivered() {
		return nil
	}
	said := printable(err.Error(), 512)
	if end, bounded := sending.Deadline(); bounded && !time.Now().Before(end) {
		said = "it did not finish in time: " + said
	}
	text := fmt.Sprintf("mail server %s: %s", client.ServerAddr(), said)
	if smtpCode(err)/100 == 5 {
		return permanent(Refused, "%s", text)
	}
	return unavailable(ctx, "%s", text)
}

// withinAttempt ends a little before the Activity's timeout, which is the one
// limit of a conversation: an error of ours says what was waited for, and
// Temporal's does not.
func withinAttempt(ctx context.Context) (context.Context, context.CancelFunc) {
	end, bounded := ctx.Deadline()
	if !bounded {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-min(time.Second, time.Until(end)/10)))
}

// smtpCode returns the reply code that the error is about, or 0 where the
// server gave none.
func smtpCode(err error) int {
	if sending, ok := errors.AsType[*gomail.SendError](err); ok {
		return sending.ErrorCode()
	}
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return reply.Code
	}
	return 0
}
