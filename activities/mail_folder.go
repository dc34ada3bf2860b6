package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	gomail "github.com/wneessen/go-mail"
)

// OpenMailFolder returns a Mail that writes each message to a file of the
// folder, which it creates where it is missing: for trying things out, and for
// mail systems that pick files up. The files are named after the keys, end in
// ".eml", and appear complete. From is the sender, "Shop
// <billing@example.com>".
func OpenMailFolder(folder, from string) (*Mail, error) {
	sender, err := address(from)
	if err != nil {
		return nil, fmt.Errorf("mail.from: %w", err)
	}
	if folder == "" {
		return nil, errors.New("mail.folder is empty")
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("mail.folder: %w", err)
	}
	return &Mail{from: sender, via: mailFolder(folder)}, nil
}

// mailFolder is the path of the folder.
type mailFolder string

func (f mailFolder) deliver(ctx context.Context, key string, message *gomail.Msg) error {
	path := filepath.Join(string(f), mailFile(key))
	_, err := os.Lstat(path) // nil where the mail is there, which is all we want
	if errors.Is(err, fs.ErrNotExist) {
		err = writeMail(path, message)
	}
	if err != nil {
		return unavailable(ctx, "mail.folder: %v", err)
	}
	return nil
}

// writeMail makes the file appear at once and complete. Where two attempts of
// one step overlap, the later one puts an equal mail in its place.
func writeMail(path string, message *gomail.Msg) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), ".writing-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp.Name())
		}
	}()
	_, err = message.WriteTo(temp)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// mailFile returns a file name that people can read and every file system
// takes. The digest keeps keys apart that read the same.
func mailFile(key string) string {
	readable := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '.':
			return r
		}
		return '_'
	}, key)
	sum := sha256.Sum256([]byte(key))
	return strings.TrimLeft(readable[:min(len(readable), 80)], ".") + "-" + hex.EncodeToString(sum[:8]) + ".eml"
}
