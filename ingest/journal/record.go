package journal

import (
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
	// Header is the event.Event in JSON.
	Header  []byte
	Payload []byte
	// CRC is of all fields above but Seq.
	CRC uint32
}

// ErrDamaged is said of a record whose bytes are not those that were appended.
var ErrDamaged = errors.New("the bytes of this record are not those that were appended")

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a constant table

// newRecord returns the record of an event that is to be appended now.
func newRecord(ev event.Event, payload []byte, isJSON bool, now time.Time) (*Record, error) {
	header, err := json.Marshal(ev)
	if err != nil {
		return nil, fmt.Errorf("encode the event's header: %w", err)
	}
	r := &Record{Source: ev.Source, WorkflowID: ev.WorkflowID(), AppendedAt: now.Truncate(time.Microsecond), JSON: isJSON, Header: header, Payload: payload}
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

// Event returns the event of an intact record, or ErrDamaged.
func (r *Record) Event() (event.Event, error) {
	var ev event.Event
	if r.sum() != r.CRC {
		return ev, ErrDamaged
	}
	if err := json.Unmarshal(r.Header, &ev); err != nil {
		return ev, fmt.Errorf("decode the event's header: %w", err)
	}
	return ev, nil
}
