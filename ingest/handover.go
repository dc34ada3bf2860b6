package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// handedOver keeps the secrets that providers hand over. Whoever knows the
// endpoint can send such a handshake, so a secret is kept for a person to look
// at and never taken into use, none replaces another, and there is room for a
// few of each source only.
type handedOver struct {
	folder string
	mu     sync.Mutex
}

// The most secrets of one source that wait for a person, and the longest one,
// in bytes.
const (
	maxHanded       = 16
	maxHandedSecret = 4 << 10
)

// keepHandedOver puts the secret where the operator finds it, and says in the
// log where that is.
func (s *Server) keepHandedOver(source *Source, secret string) error {
	file, err := s.handed.keep(source.name, secret)
	if err != nil {
		return fmt.Errorf("the secret that the provider handed over: %w", err)
	}
	s.logger.Warn("the provider handed over a secret; if it was you who asked it to, add the reference to the source's secrets and reload, else delete the file",
		"source", source.name, "provider", source.Provider.Name(), "file", file, "secrets", "file:"+file)
	return nil
}

// keep writes the secret into a file of its own. The same secret again is the
// same file again.
func (h *handedOver) keep(source, secret string) (file string, err error) {
	switch {
	case h.folder == "":
		return "", errors.New("there is no folder to keep it in")
	case len(secret) > maxHandedSecret:
		return "", fmt.Errorf("it is %d bytes, at most %d are kept", len(secret), maxHandedSecret)
	}
	folder := filepath.Join(h.folder, source)
	sum := sha256.Sum256([]byte(secret))
	file = filepath.Join(folder, hex.EncodeToString(sum[:8]))

	h.mu.Lock()
	defer h.mu.Unlock()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	waiting, err := os.ReadDir(folder)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if len(waiting) >= maxHanded {
		return "", fmt.Errorf("%d of them wait in %s already; delete those that nobody asked for", len(waiting), folder)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return file, nil
	}
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(secret)
	return file, errors.Join(err, f.Close())
}
