package mesh

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/switchyard-ai/switchyard/internal/answer"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// IdempotencyKey names one call that a caller may repeat.
type IdempotencyKey struct {
	Project string
	Caller  string // id of the API key: what another key of the project did is not this one's to see
	Key     string // as sent, 1 to 128 printable characters
}

// Reservation is what a store knows of a key when its call begins.
type Reservation struct {
	IdempotencyKey
	// Seed is a UUIDv7 that stays the same for the key, however often its call is begun: handlers take their ids from it, so that a call that
	// is begun again after a crash does nothing twice.
	Seed string
	// Begun says that a call with the key was begun before and not answered: it failed, or a crash cut it off, and what it did may be there.
	Begun bool
	// Answer is the answer that was kept; nil when the call has to be made.
	Answer []byte
	// Release lets the next call with the key begin; nil when there is an answer.
	Release func()
}

// IdempotencyStore keeps the answers of calls that carry an idempotency key, for 24 hours at least and over crashes.
type IdempotencyStore interface {
	// Begin returns the answer that was kept for the key, or reserves the key for this call, after calls with it that run in this process have
	// ended. It fails with IDEMPOTENCY_KEY_REUSED when the key stands for a request with another digest.
	// Subjects are the persons whose data the call carries.
	Begin(ctx context.Context, key IdempotencyKey, digest [sha256.Size]byte, subjects []string) (Reservation, error)
	// Finish keeps the answer. It returns the answer that counts: that of another process where that was first.
	Finish(ctx context.Context, r Reservation, answer []byte) ([]byte, error)
	// Keep keeps the answer when the handler's transaction commits. It fails when another process was first.
	Keep(tx answer.Tx, r Reservation, answer []byte) error
}

// errReplayed ends a handler whose answer is known already.
var errReplayed = errors.New("answered from the store")

// idempotency answers a repeated call of a method that changes something with what the first one was answered. Failures are not kept: a call that
// failed may be repeated with its key. Streams keep no answers.
func idempotency(store IdempotencyStore) Middleware {
	return Middleware{Name: "idempotency", Wrap: func(m *Method, next Handler) Handler {
		if store == nil || m.Open || !m.Unary() || m.reads || m.output == nil {
			return next
		}
		return func(ctx context.Context, c *Call) error {
			if c.request.IdempotencyKey == "" {
				if len(metadata.ValueFromIncomingContext(ctx, headerIdempotencyKey)) == 0 {
					return next(answer.Without(ctx), c) // it may be part of a call that has a key
				}
				return fault.InvalidField(headerIdempotencyKey, "must be sent once, with 1 to %d printable ASCII characters and no spaces", maxHeaderValue)
			}
			return once(ctx, c, store, next)
		}
	}}
}

func once(ctx context.Context, c *Call, store IdempotencyStore, next Handler) error {
	var mine *Reservation
	var replayed any
	key := IdempotencyKey{Project: c.Caller.Project, Caller: c.Caller.KeyID, Key: c.request.IdempotencyKey}
	ctx, slot := answer.With(ctx)
	c.received = func(msg any) error {
		digest, err := requestDigest(c.Method, msg)
		if err != nil {
			return err
		}
		r, err := store.Begin(ctx, key, digest, subjectsOf(msg))
		if err != nil {
			return err //nolint:wrapcheck // a fault already
		}
		if r.Answer != nil {
			if replayed, err = c.replay(ctx, key, r.Answer); err != nil {
				return err
			}
			return errReplayed
		}
		mine = &r
		c.request.Seed, c.request.Begun = r.Seed, r.Begun
		slot.Put(func(tx answer.Tx, msg proto.Message) error {
			kept, err := c.seal(ctx, key, msg)
			if err != nil {
				return err
			}
			return store.Keep(tx, r, kept) //nolint:wrapcheck // a fault already
		})
		return nil
	}
	defer func() {
		if mine != nil {
			mine.Release()
		}
	}()
	err := next(ctx, c)
	switch {
	case errors.Is(err, errReplayed):
		c.reply = replayed // not before: the generated handler has answered nothing
		return nil
	case err != nil || mine == nil:
		return err
	}
	return keep(ctx, c, store, *mine)
}

// keep stores the answer before it is given. Where another process was first, its answer is given.
func keep(ctx context.Context, c *Call, store IdempotencyStore, r Reservation) error {
	msg, ok := c.reply.(proto.Message)
	if !ok {
		return errNotProto(c.reply)
	}
	kept, err := c.seal(ctx, r.IdempotencyKey, msg)
	if err != nil {
		return err
	}
	counts, err := store.Finish(context.WithoutCancel(ctx), r, kept)
	if err != nil {
		return err //nolint:wrapcheck // a fault already
	}
	if &counts[0] == &kept[0] {
		return nil
	}
	c.reply, err = c.replay(ctx, r.IdempotencyKey, counts)
	return err
}

// seal makes of an answer what is kept.
func (c *Call) seal(ctx context.Context, key IdempotencyKey, msg proto.Message) ([]byte, error) {
	wire, err := proto.Marshal(msg)
	if err != nil {
		return nil, fmt.Errorf("keep an answer: %w", err)
	}
	sealer, err := sealerOf(ctx, key)
	if err != nil {
		return nil, err
	}
	return sealer.Seal(nil, nil, wire, []byte(c.Method.FullName)), nil //nolint:gosec // NewGCMWithRandomNonce makes the nonce
}

// replay opens a kept answer.
func (c *Call) replay(ctx context.Context, key IdempotencyKey, kept []byte) (proto.Message, error) {
	sealer, err := sealerOf(ctx, key)
	if err != nil {
		return nil, err
	}
	wire, err := sealer.Open(nil, nil, kept, []byte(c.Method.FullName))
	if err != nil {
		return nil, fmt.Errorf("open a kept answer: %w", err)
	}
	msg := c.Method.output.New().Interface()
	if err := proto.Unmarshal(wire, msg); err != nil {
		return nil, fmt.Errorf("read a kept answer: %w", err)
	}
	return msg, nil
}

// sealerOf encrypts answers under the caller's API key, of which the product stores only a hash: a secret in an answer, such as a new API key, can be
// read back only by the caller that received it.
func sealerOf(ctx context.Context, key IdempotencyKey) (cipher.AEAD, error) {
	secret := header(ctx, headerAuthorization)
	derived, err := hkdf.Key(sha256.New, []byte(secret), nil, "switchyard idempotency\x00"+key.Project+"\x00"+key.Caller+"\x00"+key.Key, 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key of an answer: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("seal an answer: %w", err)
	}
	sealer, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("seal an answer: %w", err)
	}
	return sealer, nil
}

// subjectFields are the fields of requests that say whose data they carry.
var subjectFields = []protoreflect.Name{"subject_id", "customer_id", "author_id"}

// subjectsOf returns the persons whose data a request carries: as its own field, or as one of the items of a batch.
func subjectsOf(msg any) (subjects []string) {
	p, ok := msg.(proto.Message)
	if !ok {
		return nil
	}
	of := func(m protoreflect.Message) {
		for _, name := range subjectFields {
			if f := m.Descriptor().Fields().ByName(name); f != nil && f.Kind() == protoreflect.StringKind && !f.IsList() && m.Get(f).String() != "" {
				subjects = append(subjects, m.Get(f).String())
			}
		}
	}
	m := p.ProtoReflect()
	of(m)
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		if !f.IsList() || f.Kind() != protoreflect.MessageKind {
			continue
		}
		for items, k := m.Get(f).List(), 0; k < items.Len(); k++ {
			of(items.Get(k).Message())
		}
	}
	return subjects
}

// requestDigest tells requests apart: by method and content, whatever the order of map entries on the wire.
func requestDigest(m *Method, msg any) (sum [sha256.Size]byte, err error) {
	p, ok := msg.(proto.Message)
	if !ok {
		return sum, errNotProto(msg)
	}
	wire, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte(m.FullName+"\x00"), p)
	if err != nil {
		return sum, fmt.Errorf("digest of a request: %w", err)
	}
	return sha256.Sum256(wire), nil
}

// readsOnly says whether the contract binds the method to HTTP GET: then repeating it is harmless, and a kept answer would be an old one.
func readsOnly(d protoreflect.MethodDescriptor) bool {
	o, ok := d.Options().(*descriptorpb.MethodOptions)
	if !ok {
		return false
	}
	rule, _ := proto.GetExtension(o, annotations.E_Http).(*annotations.HttpRule)
	return rule.GetGet() != ""
}

// outputOf returns the type of a method's answer, nil when the program does not know it.
func outputOf(d protoreflect.MethodDescriptor) protoreflect.MessageType {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.Output().FullName())
	if err != nil {
		return nil
	}
	return t
}
