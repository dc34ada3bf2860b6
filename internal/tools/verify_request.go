package tools

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/hookyard/hookyard/ingest/provider"
)

// parseRequest reads a request as people keep them: header lines may end in
// LF alone, and without a Content-Length the body is everything after the
// blank line.
func parseRequest(raw []byte) (*provider.Delivery, error) {
	head, body, err := splitRequest(raw)
	if err != nil {
		return nil, err
	}
	r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(head), bytes.NewReader(body))))
	if err != nil {
		return nil, fmt.Errorf("not an HTTP request: %w; want a line such as \"POST /webhooks/stripe HTTP/1.1\", headers, a blank line and the body", err)
	}
	defer r.Body.Close()
	if r.ContentLength > 0 || len(r.TransferEncoding) > 0 {
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, fmt.Errorf("the body ends before its headers say so: %w", err)
		}
	}
	target := r.URL.String()
	if !r.URL.IsAbs() {
		target = "https://" + r.Host + target
	}
	return &provider.Delivery{Method: r.Method, URL: target, Header: r.Header, Body: body}, nil
}

// splitRequest returns the head, with CRLF line ends and the blank line, and
// the rest.
func splitRequest(raw []byte) (head, body []byte, err error) {
	var b bytes.Buffer
	for rest := raw; len(rest) > 0; {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		b.Write(line)
		b.WriteString("\r\n")
		rest = after
		if len(line) == 0 {
			return b.Bytes(), rest, nil
		}
	}
	b.WriteString("\r\n")
	if len(raw) == 0 {
		return nil, nil, errors.New("nothing to verify: the request is empty")
	}
	return b.Bytes(), nil, nil
}
