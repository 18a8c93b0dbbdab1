package httpapi

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"cairn/adminapi"
	"cairn/session"
)

// newSession describes it as of now. It copies all it needs.
func newSession(it *session.Item, now session.Time) adminapi.Session {
	s := adminapi.Session{
		Size:         len(it.Value),
		Flags:        it.Flags,
		Version:      strconv.FormatUint(it.Version, 10),
		ExpiresAt:    jsonTime(it.Expiry),
		NeverExpires: it.Expiry == session.Never,
		Stale:        it.Stale,
		Claimed:      it.Claimed,
		Fetched:      it.Fetched,
	}
	s.Key, s.KeyBase64 = keyText(it.Key)
	if it.Expiry != session.Never {
		ttl := max(0, float64(it.Expiry-now)/1000)
		s.TTLSeconds = &ttl
	}
	if it.LastAccess != 0 {
		s.LastAccess = jsonTime(it.LastAccess)
	}
	if it.Created != 0 {
		s.CreatedAt = jsonTime(it.Created)
	}
	s.Owner, s.OwnerBase64 = keyText(it.Owner)
	return s
}

// KeyParam is the path parameter that names one session.
type KeyParam struct {
	Key         string `path:"key" doc:"The session's key, percent-encoded: every byte but A-Z a-z 0-9 - . _ ~ as %XX."`
	KeyEncoding string `query:"key_encoding" enum:"percent,base64url" default:"percent" doc:"base64url: the path has the key in base64url without padding. Needed for the keys '.', '..' and '/', and by clients that cannot percent-encode bytes that are not UTF-8."`

	key []byte
}

// Resolve decodes the key.
func (p *KeyParam) Resolve(huma.Context) []error {
	key, err := decodeKey(p.Key, keyEncoding(p.KeyEncoding))
	if err != nil {
		return []error{&huma.ErrorDetail{Location: "path.key", Message: err.Error(), Value: p.Key}}
	}
	p.key = key
	return nil
}

// SessionOutput is a response with one session.
type SessionOutput struct {
	ETag string `header:"ETag" doc:"The version in quotes, for If-Match."`
	Body adminapi.Session
}

func sessionOutput(it *session.Item, now session.Time) *SessionOutput {
	return &SessionOutput{ETag: etag(it.Version), Body: newSession(it, now)}
}

func etag(version uint64) string { return `"` + strconv.FormatUint(version, 10) + `"` }

// parseETag reads an If-Match header of one entity tag.
func parseETag(s string) (uint64, error) {
	version, err := strconv.ParseUint(strings.Trim(strings.TrimPrefix(s, "W/"), `"`), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("expected one version in quotes, as in an ETag")
	}
	return version, nil
}

// begin empties a burst for commands of the request of ctx.
func (s *Server) begin(ctx context.Context, b *session.Burst) {
	b.Reset(s.engine.Now())
	b.Origin = recordOf(ctx)
}

// again empties a burst for further commands of the same request.
func (s *Server) again(b *session.Burst) {
	from := b.Origin
	b.Reset(s.engine.Now())
	b.Origin = from
}

// apply runs one command and gives its result, whose bytes are the caller's to
// read until it is garbage.
func (s *Server) apply(ctx context.Context, c session.Command) (*session.Result, session.Time) {
	var b session.Burst
	s.begin(ctx, &b)
	*b.Add() = c
	session.Do(s.engine, &b)
	return &b.Results[0], b.Now
}

// find reads a session without leaving a trace on it.
func (s *Server) find(ctx context.Context, key []byte) (*session.Item, session.Time, error) {
	r, now := s.apply(ctx, session.Command{Op: session.OpGet, Mods: session.Peek, Key: key})
	return &r.Item, now, storeProblem(r)
}

type getInput struct {
	KeyParam
	Value string `query:"value" enum:"none,base64" default:"none" doc:"base64: include the value (admin scope)."`
}

func (s *Server) getSession(ctx context.Context, in *getInput) (*SessionOutput, error) {
	if in.Value == "base64" {
		if err := require(ctx, ScopeAdmin); err != nil {
			return nil, err
		}
	}
	it, now, err := s.find(ctx, in.key)
	if err != nil {
		return nil, err
	}
	out := sessionOutput(it, now)
	if in.Value == "base64" {
		value := base64.StdEncoding.EncodeToString(it.Value)
		out.Body.ValueBase64 = &value
		note(ctx, "value of "+quoteKey(in.key))
	}
	return out, nil
}

type valueOutput struct {
	ContentType        string `header:"Content-Type"`
	ContentDisposition string `header:"Content-Disposition"`
	ETag               string `header:"ETag"`
	Flags              string `header:"Cairn-Flags" doc:"The client's own 32 bits, decimal."`
	Body               []byte
}

func (s *Server) getValue(ctx context.Context, in *struct{ KeyParam }) (*valueOutput, error) {
	it, _, err := s.find(ctx, in.key)
	if err != nil {
		return nil, err
	}
	note(ctx, "value of "+quoteKey(in.key))
	return &valueOutput{
		ContentType:        "application/octet-stream",
		ContentDisposition: "attachment",
		ETag:               etag(it.Version),
		Flags:              strconv.FormatUint(uint64(it.Flags), 10),
		Body:               it.Value,
	}, nil
}

// chooseValue returns the bytes of exactly one of value and value_base64.
func chooseValue(text, encoded *string) ([]byte, error) {
	switch {
	case text != nil && encoded == nil:
		return []byte(*text), nil
	case text == nil && encoded != nil:
		return decodeBase64(*encoded)
	}
	return nil, fmt.Errorf("set exactly one of value and value_base64")
}

// WriteConditions say when a session is stored.
type WriteConditions struct {
	IfMatch     string `header:"If-Match" doc:"Store only over this version (an ETag), or over any with *."`
	IfNoneMatch string `header:"If-None-Match" enum:"*" doc:"With *, store only if there is no session with this key."`
}

// apply makes c depend on the conditions.
func (w *WriteConditions) apply(c *session.Command) (err error) {
	switch {
	case w.IfNoneMatch != "" && w.IfMatch != "":
		return invalid("header.If-None-Match", fmt.Errorf("cannot be combined with If-Match"))
	case w.IfNoneMatch != "":
		c.Op = session.OpAdd
	case w.IfMatch == "*":
		c.Op = session.OpReplace
	case w.IfMatch != "":
		c.Mods = session.IfVersion
		if c.CAS, err = parseETag(w.IfMatch); err != nil {
			return invalid("header.If-Match", err)
		}
	}
	return nil
}

type putInput struct {
	KeyParam
	WriteConditions
	Body adminapi.PutBody
}

// command builds what the request asks for.
func (in *putInput) command(now session.Time) (session.Command, error) {
	c := session.Command{Op: session.OpSet, Key: in.key, Flags: in.Body.Flags}
	var err error
	if c.Value, err = chooseValue(in.Body.Value, in.Body.ValueBase64); err != nil {
		return c, invalid("body", err)
	}
	if c.Expiry, err = expiryOf(&in.Body.Expiry, now); err != nil {
		return c, invalid("body", err)
	}
	return c, in.WriteConditions.apply(&c)
}

func (s *Server) putSession(ctx context.Context, in *putInput) (*SessionOutput, error) {
	c, err := in.command(s.engine.Now())
	if err != nil {
		return nil, err
	}
	return s.store(ctx, c)
}

type putValueInput struct {
	KeyParam
	WriteConditions
	Flags        uint32    `header:"Cairn-Flags" doc:"The client's own 32 bits, decimal."`
	TTLSeconds   float64   `query:"ttl_seconds" minimum:"0" doc:"Give exactly one of ttl_seconds, expires_at and never_expires."`
	ExpiresAt    time.Time `query:"expires_at" doc:"When the session expires."`
	NeverExpires bool      `query:"never_expires" doc:"The session does not expire."`
	RawBody      []byte    `contentType:"application/octet-stream"`
}

// expiry is what the request asks for, as a body would have it.
func (in *putValueInput) expiry() *adminapi.Expiry {
	e := adminapi.Expiry{NeverExpires: in.NeverExpires}
	if in.TTLSeconds > 0 {
		e.TTLSeconds = &in.TTLSeconds
	}
	if !in.ExpiresAt.IsZero() {
		e.ExpiresAt = &in.ExpiresAt
	}
	return &e
}

func (s *Server) putValue(ctx context.Context, in *putValueInput) (*SessionOutput, error) {
	c := session.Command{Op: session.OpSet, Key: in.key, Flags: in.Flags, Value: in.RawBody}
	var err error
	if c.Expiry, err = expiryOf(in.expiry(), s.engine.Now()); err != nil {
		return nil, invalid("query", err)
	}
	if err := in.WriteConditions.apply(&c); err != nil {
		return nil, err
	}
	return s.store(ctx, c)
}

// store carries out a command that stores a session, and describes that.
func (s *Server) store(ctx context.Context, c session.Command) (*SessionOutput, error) {
	note(ctx, fmt.Sprintf("put %s size=%d expires=%s", quoteKey(c.Key), len(c.Value), auditTime(c.Expiry)))
	r, now := s.apply(ctx, c)
	if r.Status != session.OK && c.Op == session.OpReplace {
		return nil, huma.Error412PreconditionFailed("no such session")
	}
	if err := storeProblem(r); err != nil {
		return nil, err
	}
	r.Item.Value = c.Value
	return sessionOutput(&r.Item, now), nil
}

type touchInput struct {
	KeyParam
	Body adminapi.Expiry
}

func (s *Server) touchSession(ctx context.Context, in *touchInput) (*SessionOutput, error) {
	var b session.Burst
	s.begin(ctx, &b)
	expiry, err := expiryOf(&in.Body, b.Now)
	if err != nil {
		return nil, invalid("body", err)
	}
	note(ctx, "touch "+quoteKey(in.key)+" expires="+auditTime(expiry))
	*b.Add() = session.Command{Op: session.OpGet, Mods: session.Peek, Key: in.key}
	*b.Add() = session.Command{Op: session.OpTouch, Key: in.key, Expiry: expiry}
	session.Do(s.engine, &b)
	found, touched := &b.Results[0], &b.Results[1]
	if err := storeProblem(touched); err != nil {
		return nil, err
	}
	it := touched.Item
	it.Value = found.Item.Value
	return sessionOutput(&it, b.Now), nil
}

type deleteInput struct {
	KeyParam
	IfMatch string `header:"If-Match" doc:"Delete only this version (an ETag)."`
}

func (s *Server) deleteSession(ctx context.Context, in *deleteInput) (*struct{}, error) {
	c := session.Command{Op: session.OpDelete, Key: in.key}
	if in.IfMatch != "" && in.IfMatch != "*" {
		var err error
		if c.CAS, err = parseETag(in.IfMatch); err != nil {
			return nil, invalid("header.If-Match", err)
		}
		c.Mods = session.IfVersion
	}
	note(ctx, "delete "+quoteKey(in.key))
	r, _ := s.apply(ctx, c)
	return nil, storeProblem(r)
}
