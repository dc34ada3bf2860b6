package payload

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/converter"
	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/gcerrors"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Store keeps large payloads outside of Temporal, in a folder or in a bucket of
// S3, Google Cloud Storage or Azure. A history then holds a reference, and the
// SDK gets the payload where it is needed. With encryption on, the store holds
// encrypted payloads.
//
// Nothing deletes an object here: that is for the bucket's lifecycle, which must
// keep objects for longer than any run is open, and the namespace's retention on
// top.
type Store struct {
	bucket *blob.Bucket
	codec  *Codec
	over   int
}

const (
	// storeName is in every reference. Another name makes stored payloads
	// unreadable.
	storeName = "hookyard"
	storeType = "gocloud.dev/blob"
	// objectKey is the entry of a reference that names the object.
	objectKey = "key"
	// operationTimeout bounds one read or write of one object. The SDK gives
	// reads no deadline.
	operationTimeout = time.Minute
	folderMode       = 0o700
)

// Open returns the store at a URL of gocloud.dev/blob such as
// "s3://bucket?region=eu-central-1", or in a folder, which is created. Payloads
// of more than over bytes go there; 0 means 256 KiB.
//
// A URL needs its driver in the program: gocloud.dev/blob/s3blob, gcsblob or
// azureblob. Credentials come from the environment, as the vendor's own tools
// have them. No connection is made here.
func Open(ctx context.Context, folder, address string, over int64, codec *Codec) (*Store, error) {
	s := &Store{codec: codec, over: int(over)}
	var err error
	if folder != "" {
		s.bucket, err = fileblob.OpenBucket(folder, &fileblob.Options{
			CreateDir: true, DirFileMode: folderMode, NoTempDir: true, Metadata: fileblob.MetadataDontWrite,
		})
	} else {
		s.bucket, err = blob.OpenBucket(ctx, ownChecks(address))
	}
	if err != nil {
		return nil, fmt.Errorf("payload_store: %w%s", err, driverHint(address))
	}
	return s, nil
}

// ownChecks has the client of S3 leave checksums to get, which checks every
// object. The client cannot check one that was written in parts, as those above 5
// MB are, and writes a warning about each to standard error.
func ownChecks(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "s3" || u.Query().Has(checksums) {
		return address
	}
	query := u.Query()
	query.Set(checksums, "when_required")
	u.RawQuery = query.Encode()
	return u.String()
}

const checksums = "response_checksum_validation"

// driverHint says what a program without the driver of a URL needs.
func driverHint(address string) string {
	scheme, _, _ := strings.Cut(address, "://")
	driver := map[string]string{"s3": "s3blob", "gs": "gcsblob", "azblob": "azureblob"}[scheme]
	if driver == "" || blob.DefaultURLMux().ValidBucketScheme(scheme) {
		return ""
	}
	return fmt.Sprintf("; this program has no driver for %s://: import _ %q beside its main", scheme, "gocloud.dev/blob/"+driver)
}

// HasDriver returns what is missing in this program to open a store at the URL.
func HasDriver(address string) error {
	scheme, _, _ := strings.Cut(address, "://")
	if blob.DefaultURLMux().ValidBucketScheme(scheme) {
		return nil
	}
	if hint := driverHint(address); hint != "" {
		return errors.New(strings.TrimPrefix(hint, "; "))
	}
	return fmt.Errorf("want s3://BUCKET, gs://BUCKET or azblob://CONTAINER, found %q", scheme+"://")
}

// Close ends the store's connections.
func (s *Store) Close() error { return s.bucket.Close() }

// Reachable returns an error where the store does not answer.
func (s *Store) Reachable(ctx context.Context) error {
	ok, err := s.bucket.IsAccessible(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("payload_store: %w", err)
	case !ok:
		return errors.New("payload_store: there is no such bucket, or no permission for it")
	}
	return nil
}

// External is the store as the SDK takes it.
func (s *Store) External() converter.ExternalStorage {
	return converter.ExternalStorage{Drivers: []converter.StorageDriver{driver{s}}, PayloadSizeThreshold: s.over}
}

// driver is the store's interface for the SDK.
type driver struct{ store *Store }

var _ converter.StorageDriver = driver{}

// Name implements converter.StorageDriver.
func (driver) Name() string { return storeName }

// Type implements converter.StorageDriver.
func (driver) Type() string { return storeType }

// Store implements converter.StorageDriver.
func (d driver) Store(ctx converter.StorageDriverStoreContext, payloads []*commonpb.Payload) ([]converter.StorageDriverClaim, error) {
	claims := make([]converter.StorageDriverClaim, len(payloads))
	limiter := ctx.GetLimiter()
	all, within := errgroup.WithContext(ctx.Context)
	for i, p := range payloads {
		all.Go(func() error {
			return limiter.Permit(within, p, func() error {
				key, err := d.store.put(within, p)
				claims[i] = converter.StorageDriverClaim{ClaimData: map[string]string{objectKey: key}}
				return err
			})
		})
	}
	return claims, all.Wait()
}

// Retrieve implements converter.StorageDriver.
func (d driver) Retrieve(ctx converter.StorageDriverRetrieveContext, claims []converter.StorageDriverClaim) ([]*commonpb.Payload, error) {
	payloads := make([]*commonpb.Payload, len(claims))
	limiter := ctx.GetLimiter()
	all, within := errgroup.WithContext(ctx.Context)
	for i, claim := range claims {
		all.Go(func() error {
			return limiter.Permit(within, claim, func() (err error) {
				payloads[i], err = d.store.get(within, claim.ClaimData[objectKey])
				return err
			})
		})
	}
	return payloads, all.Wait()
}

// put writes a payload and returns the key of its object. The key is a digest of
// the plain payload, so the same payload is one object however often it is
// stored. It is always written anew: the bucket's lifecycle then counts from the
// last use. With encryption on the digest is keyed, so that it cannot be used to
// try out what a payload may have been.
func (s *Store) put(ctx context.Context, p *commonpb.Payload) (key string, err error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	plain, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
	if err != nil {
		return "", err
	}
	sealed := p
	var names []byte
	if keys := *s.codec.keys.Load(); len(keys) > 0 {
		sealed, names = keys[0].seal(plain), keys[0].names
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(sealed)
	if err != nil {
		return "", err
	}
	key = objectName(plain, names)
	if err := s.bucket.WriteAll(ctx, key, data, &blob.WriterOptions{ContentType: "application/octet-stream"}); err != nil {
		return "", fmt.Errorf("payload_store: write %q: %w", key, err)
	}
	return key, nil
}

// get reads a payload and sees that it is the one that was written.
func (s *Store) get(ctx context.Context, key string) (*commonpb.Payload, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	data, err := s.bucket.ReadAll(ctx, key)
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound, errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("payload_store: there is no object %q: it was deleted while its run was still kept, or this is another store: %w", key, err)
	case err != nil:
		return nil, fmt.Errorf("payload_store: read %q: %w", key, err)
	}
	stored := &commonpb.Payload{}
	if err := proto.Unmarshal(data, stored); err != nil {
		return nil, fmt.Errorf("payload_store: object %q is damaged: %w", key, err)
	}
	var names []byte
	plain := stored
	if IsEncrypted(stored) {
		k, err := s.codec.keyOf(stored)
		if err != nil {
			return nil, fmt.Errorf("payload_store: object %q: %w", key, err)
		}
		if plain, err = s.codec.open(stored); err != nil {
			return nil, fmt.Errorf("payload_store: object %q: %w", key, err)
		}
		names = k.names
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(plain)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal([]byte(objectName(again, names)), []byte(key)) {
		return nil, fmt.Errorf("payload_store: object %q is not what was written under that name: its content was changed", key)
	}
	return plain, nil
}

// objectName is "payloads/ab/abcd…": the digest of the plain payload, below a
// folder of its first two digits.
func objectName(plain, names []byte) string {
	digest := sha256.New()
	if names != nil {
		digest = hmac.New(sha256.New, names)
	}
	digest.Write(plain)
	name := hex.EncodeToString(digest.Sum(nil))
	return "payloads/" + name[:2] + "/" + name
}

// Offload puts payloads that are large into the store, and references in their
// place, for a request that does not go through the SDK. s may be nil.
func (s *Store) Offload(ctx context.Context, payloads *commonpb.Payloads) error {
	if s == nil {
		return nil
	}
	for i, p := range payloads.GetPayloads() {
		size := proto.Size(p)
		if size < s.over {
			continue
		}
		key, err := s.put(ctx, p)
		if err != nil {
			return err
		}
		data, err := protojson.Marshal(&sdkpb.ExternalStorageReference{DriverName: storeName, ClaimData: map[string]string{objectKey: key}})
		if err != nil {
			return err
		}
		payloads.Payloads[i] = &commonpb.Payload{
			Metadata: map[string][]byte{
				converter.MetadataEncoding: []byte(converter.MetadataEncodingProtoJSON), converter.MetadataMessageType: []byte(referenceType),
			},
			Data:             data,
			ExternalPayloads: []*commonpb.Payload_ExternalPayloadDetails{{SizeBytes: int64(size)}},
		}
	}
	return nil
}

// ErrNoStore is a payload in a store, where the config has none.
var ErrNoStore = errors.New("the payload is in a store, and this config has no payload_store")

// Resolve returns what a payload of a history stands for: the payload in the
// store, where it is a reference. s may be nil.
func (s *Store) Resolve(ctx context.Context, p *commonpb.Payload) (*commonpb.Payload, error) {
	if !isReference(p) {
		return p, nil
	}
	if s == nil {
		return nil, ErrNoStore
	}
	reference := &sdkpb.ExternalStorageReference{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(p.GetData(), reference); err != nil {
		return nil, fmt.Errorf("a reference to the payload store cannot be read: %w", err)
	}
	return s.get(ctx, reference.GetClaimData()[objectKey])
}
