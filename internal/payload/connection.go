package payload

import (
	"context"
	"fmt"
	"net/http"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Wire has the connection of the client encrypt and decrypt with the Codec, and
// keep large payloads in the store. A nil store keeps all of them in histories.
//
// Everything that a call carries is encrypted, but Search Attributes: arguments,
// results, memos, headers, summaries, and the messages and stacks of failures.
func Wire(options *client.Options, codec *Codec, store *Store) error {
	encrypt, err := interceptor(codec)
	if err != nil {
		return err
	}
	options.DataConverter = DataConverter(codec)
	options.ConnectionOptions.DialOptions = append(options.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(encrypt))
	if store != nil {
		options.ExternalStorage = store.External()
	}
	return nil
}

// interceptor encrypts what a call sends and decrypts what it returns. The SDK's
// own interceptors change the request in place. The SDK sends it again after
// some errors, and Workflow code may hold parts of it, so they get a copy.
func interceptor(codec *Codec) (grpc.UnaryClientInterceptor, error) {
	failures, err := converter.NewFailureGRPCClientInterceptor(converter.NewFailureGRPCClientInterceptorOptions{EncodeCommonAttributes: true})
	if err != nil {
		return nil, err
	}
	payloads, err := converter.NewPayloadCodecGRPCClientInterceptor(converter.PayloadCodecGRPCClientInterceptorOptions{
		Codecs: []converter.PayloadCodec{lenient{codec}},
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if !codec.On() {
			return invoke(ctx, method, req, reply, cc, opts...)
		}
		if m, ok := req.(proto.Message); ok {
			req = proto.Clone(m)
		}
		encoded := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, opts ...grpc.CallOption) error {
			return payloads(ctx, method, req, reply, cc, invoke, opts...)
		}
		return failures(ctx, method, req, reply, cc, encoded, opts...)
	}, nil
}

// lenient leaves what it cannot decrypt as it is. One such payload then does not
// keep a caller from all others in the same answer, a list of runs for example.
// DataConverter refuses it where it is used.
type lenient struct{ *Codec }

// Decode implements converter.PayloadCodec.
func (l lenient) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	return each(payloads, func(p *commonpb.Payload) (*commonpb.Payload, error) {
		if opened, err := l.open(p); err == nil {
			return opened, nil
		}
		return p, nil
	})
}

// DataConverter returns the SDK's default one, which refuses what is still
// encrypted.
//
// In a Workflow it panics: that fails the Workflow Task, and Temporal repeats it
// until a worker with the key takes it. An error would close the run as failed.
func DataConverter(codec *Codec) converter.DataConverter {
	return plainOnly{DataConverter: converter.GetDefaultDataConverter(), codec: codec}
}

type plainOnly struct {
	converter.DataConverter
	codec      *Codec
	inWorkflow bool
}

var _ workflow.ContextAware = plainOnly{}

// WithWorkflowContext implements workflow.ContextAware.
func (d plainOnly) WithWorkflowContext(workflow.Context) converter.DataConverter {
	d.inWorkflow = true
	return d
}

// WithContext implements workflow.ContextAware.
func (d plainOnly) WithContext(context.Context) converter.DataConverter { return d }

// FromPayload implements converter.DataConverter.
func (d plainOnly) FromPayload(p *commonpb.Payload, to any) error {
	if err := d.check(p); err != nil {
		return err
	}
	return d.DataConverter.FromPayload(p, to)
}

// FromPayloads implements converter.DataConverter.
func (d plainOnly) FromPayloads(payloads *commonpb.Payloads, to ...any) error {
	if err := d.check(payloads.GetPayloads()...); err != nil {
		return err
	}
	return d.DataConverter.FromPayloads(payloads, to...)
}

func (d plainOnly) check(payloads ...*commonpb.Payload) error {
	for _, p := range payloads {
		if !IsEncrypted(p) {
			continue
		}
		_, err := d.codec.open(p) // which failed before, and says why
		if err == nil {           // its key was added a moment ago
			err = fmt.Errorf("a payload was encrypted with key %q, which is known only now", KeyID(p))
		}
		if d.inWorkflow {
			panic(missingKey{err}) //nolint:forbidigo // see DataConverter
		}
		return err
	}
	return nil
}

// missingKey is a panic that fails the Workflow Task. Parking tells by its method
// that it is no mistake of the Workflow's code.
type missingKey struct{ error }

// FailsWorkflowTask marks the panic for parking.
func (missingKey) FailsWorkflowTask() {}

func (m missingKey) Unwrap() error { return m.error }

// CodecHandler answers what Temporal's Web UI and CLI ask a codec server:
// /decode, /encode and /download. A payload that cannot be decrypted comes back
// as it is, so that the others of a page are shown. It checks nobody's right to
// ask.
func CodecHandler(codec *Codec, store *Store) (http.Handler, error) {
	options := converter.PayloadHTTPHandlerOptions{PostStorageCodecs: []converter.PayloadCodec{lenient{codec}}}
	if store != nil {
		options.ExternalStorage = store.External()
	}
	return converter.NewPayloadHTTPHandler(options)
}
