package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/hookyard/hookyard/event"
)

// Record is an event in the journal.
type Record struct {
	// Seq orders the records of a source by their arrival.
	Seq        int64
	Source     string
	WorkflowID string
	// AppendedAt is when it was acknowledged, or put back by a person.
	AppendedAt time.Time
	// JSON tells how the Web UI shows the payload.
	JSON bool
	// Header is the event.Event in JSON, and Payload is what was signed. Both are
	// as they are stored: encrypted, where a Cipher does. See Event and Body.
	Header  []byte
	Payload []byte
	// CRC is of all fields above but Seq.
	CRC uint32

	cipher Cipher // nil for none
}

// Cipher encrypts what is stored. What Seal returns never starts with "{". It may
// return the bytes as they are.
type Cipher interface {
	Seal(plain []byte) ([]byte, error)
	Open(sealed []byte) ([]byte, error)
}

// ErrDamaged is said of a record whose bytes are not those that were appended.
var ErrDamaged = errors.New("the bytes of this record are not those that were appended")

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a constant table

// newRecord returns the record of an event that is to be appended now.
func newRecord(ev event.Event, payload []byte, isJSON bool, now time.Time, cipher Cipher) (*Record, error) {
	header, err := json.Marshal(ev)
	if err != nil {
		return nil, fmt.Errorf("encode the event's header: %w", err)
	}
	if cipher != nil {
		plain := header
		if header, err = cipher.Seal(plain); err != nil {
			return nil, err
		}
		if !bytes.Equal(header, plain) {
			if payload, err = cipher.Seal(payload); err != nil {
				return nil, err
			}
		}
	}
	r := &Record{Source: ev.Source, WorkflowID: ev.WorkflowID(), AppendedAt: now.Truncate(time.Microsecond), JSON: isJSON, Header: header, Payload: payload, cipher: cipher}
	r.CRC = r.sum()
	return r, nil
}

// size is what counts against the bounds, in bytes.
func (r *Record) size() int64 { return int64(len(r.Header) + len(r.Payload)) }

// sum returns the CRC. Each field is preceded by its length, so that no byte can
// move from one to the next unseen.
func (r *Record) sum() uint32 {
	var fixed [33]byte
	b := fixed[:]
	binary.LittleEndian.PutUint64(b, uint64(len(r.Source)))
	binary.LittleEndian.PutUint64(b[8:], uint64(len(r.WorkflowID)))
	binary.LittleEndian.PutUint64(b[16:], uint64(r.AppendedAt.UnixMicro()))
	binary.LittleEndian.PutUint64(b[24:], uint64(len(r.Header)))
	if r.JSON {
		b[32] = 1
	}
	sum := crc32.Update(0, castagnoli, b)
	sum = crc32.Update(sum, castagnoli, []byte(r.Source))
	sum = crc32.Update(sum, castagnoli, []byte(r.WorkflowID))
	sum = crc32.Update(sum, castagnoli, r.Header)
	return crc32.Update(sum, castagnoli, r.Payload)
}

// Check returns ErrDamaged where the bytes are not those that were appended. It
// needs no key.
func (r *Record) Check() error {
	if r.sum() != r.CRC {
		return ErrDamaged
	}
	return nil
}

// Event returns the header of the event.
func (r *Record) Event() (ev event.Event, err error) {
	header, err := r.open(r.Header)
	if err != nil {
		return ev, err
	}
	if err := json.Unmarshal(header, &ev); err != nil {
		return ev, fmt.Errorf("decode the event's header: %w", err)
	}
	return ev, nil
}

// Body returns the payload of the event, byte for byte.
func (r *Record) Body() ([]byte, error) { return r.open(r.Payload) }

func (r *Record) open(stored []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(r.Header, []byte("{")):
		return stored, nil
	case r.cipher == nil:
		return nil, errors.New("the record is encrypted, and there is no encryption in this config")
	}
	return r.cipher.Open(stored)
}
