package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
)

// Secret is a value that the file names and never holds. However it is
// printed it reads "<secret>"; only Reveal gives the value away.
type Secret struct {
	ref string
	// A pointer, because fmt and loggers print an unexported field that holds
	// a Secret without asking its methods; they print a pointer's address.
	value *string
}

const hidden = "<secret>"

// NewSecret returns a Secret of that reference and value, for tests and for
// callers that have a secret from elsewhere.
func NewSecret(ref, value string) Secret { return Secret{ref: ref, value: &value} }

// Reveal returns the value. It is empty for the zero Secret and where
// Options.SkipSecrets was set.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Ref returns the reference as it was written, "env:NAME" or "file:PATH". It
// may be printed.
func (s Secret) Ref() string { return s.ref }

// IsZero reports whether no secret was declared.
func (s Secret) IsZero() bool { return s == Secret{} }

// String returns "<secret>".
func (Secret) String() string { return hidden }

// GoString returns "<secret>".
func (Secret) GoString() string { return hidden }

// Format writes "<secret>" for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText returns "<secret>".
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// MarshalJSON returns "<secret>", quoted.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }

// LogValue returns "<secret>".
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

var (
	_ fmt.Formatter  = Secret{}
	_ fmt.Stringer   = Secret{}
	_ fmt.GoStringer = Secret{}
	_ slog.LogValuer = Secret{}
)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// isReference reports whether s is written as a reference to a secret.
func isReference(s string) bool {
	if name, ok := strings.CutPrefix(s, "env:"); ok {
		return envName.MatchString(name)
	}
	path, ok := strings.CutPrefix(s, "file:")
	return ok && path != "" && !strings.ContainsFunc(path, unicode.IsControl)
}

// ReadSecret returns the Secret behind a reference that stands outside of a
// config, as env:NAME or file:PATH. Its error does not repeat what is no
// reference, as that may be the secret itself.
func ReadSecret(ref string, o Options) (Secret, error) {
	if !isReference(ref) {
		return Secret{}, errors.New("want a reference, env:NAME or file:/path, found a literal value; put the secret into a variable or a file and name that here")
	}
	value, err := o.withDefaults().resolve(ref, "")
	return NewSecret(ref, value), err
}

// resolve returns the value behind a reference. Its errors name the reference
// and what to do.
func (o Options) resolve(ref, dir string) (string, error) {
	if name, ok := strings.CutPrefix(ref, "env:"); ok {
		value, set := o.LookupEnv(name)
		switch {
		case !set:
			return "", fmt.Errorf("secret %s is not set; export it before starting", ref)
		case strings.TrimSpace(value) == "":
			return "", fmt.Errorf("secret %s is set but empty; export its value before starting", ref)
		}
		return value, nil
	}
	path := within(dir, strings.TrimPrefix(ref, "file:"))
	data, err := o.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("secret %s: there is no file %s; create it or correct the path", ref, path)
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("secret %s: no permission to read %s; let the user that runs hookyard read it", ref, path)
	case err != nil:
		return "", fmt.Errorf("secret %s: cannot read %s: %w", ref, path, cause(err))
	}
	// Editors end a file with a line break that is not part of the secret.
	value, trimmed := strings.CutSuffix(string(data), "\r\n")
	if !trimmed {
		value = strings.TrimSuffix(value, "\n")
	}
	if strings.TrimSpace(value) == "" {
		return "", fmt.Errorf("secret %s: the file %s is empty; write the value into it", ref, path)
	}
	return value, nil
}

// within returns path as seen from the config file's folder.
func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// cause drops the operation and path that the message has already.
func cause(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
