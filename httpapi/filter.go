package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"cairn/adminapi"
	"cairn/session"
)

// filter chooses sessions. Its zero value, with maxSize -1, chooses all.
type filter struct {
	prefix        []byte
	contains      []byte
	owner         []byte       // an id; nil: any
	expiresBefore session.Time // 0: any
	expiresAfter  session.Time // 0: any
	minSize       int64
	maxSize       int64 // -1: any
}

func (f *filter) matches(it *session.Item) bool {
	size := int64(len(it.Value))
	return size >= f.minSize &&
		(f.maxSize < 0 || size <= f.maxSize) &&
		(f.expiresBefore == 0 || it.Expiry < f.expiresBefore) &&
		(f.expiresAfter == 0 || it.Expiry > f.expiresAfter) &&
		bytes.Contains(it.Key, f.contains)
}

// choosesAll reports whether nothing narrows the filter.
func (f *filter) choosesAll() bool {
	return len(f.prefix) == 0 && len(f.contains) == 0 && f.owner == nil && f.expiresBefore == 0 && f.expiresAfter == 0 &&
		f.minSize <= 0 && f.maxSize < 0
}

// String describes the filter on one line, without what does not narrow it.
func (f *filter) String() string {
	var parts []string
	add := func(set bool, name string, value any) {
		if set {
			parts = append(parts, fmt.Sprintf("%s=%v", name, value))
		}
	}
	add(len(f.prefix) > 0, "prefix", quoteKey(f.prefix))
	add(len(f.contains) > 0, "contains", quoteKey(f.contains))
	add(f.owner != nil, "owner", quoteKey(f.owner))
	add(f.expiresBefore != 0, "expires_before", auditTime(f.expiresBefore))
	add(f.expiresAfter != 0, "expires_after", auditTime(f.expiresAfter))
	add(f.minSize > 0, "min_size", f.minSize)
	add(f.maxSize >= 0, "max_size", f.maxSize)
	return strings.Join(parts, " ")
}

// scan calls fn with the sessions that the filter chooses, strictly after the
// key after, until fn returns false. It calls examine first with every session
// under the prefix, or of the owner, which may end the scan too.
func (f *filter) scan(ctx context.Context, s *Server, after []byte, examine, fn func(*session.Item) bool) error {
	look := func(it *session.Item) bool {
		if !examine(it) {
			return false
		}
		return !f.matches(it) || fn(it)
	}
	if f.owner != nil {
		return s.ownedBy(ctx, f.owner, f.prefix, after, look)
	}
	return s.engine.Scan(ctx, f.prefix, after, look)
}

// FilterParams are the query parameters that choose sessions.
type FilterParams struct {
	Prefix        string    `query:"prefix" doc:"Only keys that begin with this (a namespace)."`
	Contains      string    `query:"contains" maxLength:"250" doc:"Only keys with this somewhere in them. Without a prefix every session is looked at."`
	KeyEncoding   string    `query:"key_encoding" enum:"percent,base64url" default:"percent" doc:"How prefix is written: as it is (percent-encoded like every URL part), or additionally in base64url."`
	Owner         string    `query:"owner" doc:"Only sessions of the user with this id, or whose id has this hash."`
	OwnerEncoding string    `query:"owner_encoding" enum:"percent,base64url" default:"percent" doc:"How owner is written: as it is, or additionally in base64url."`
	ExpiresBefore time.Time `query:"expires_before" doc:"Only sessions that expire before this instant (RFC 3339)."`
	ExpiresAfter  time.Time `query:"expires_after" doc:"Only sessions that expire after this instant, or never."`
	MinSize       int64     `query:"min_size" minimum:"0" doc:"Only values of at least so many bytes."`
	MaxSize       int64     `query:"max_size" minimum:"-1" default:"-1" doc:"Only values of at most so many bytes; -1: any."`
}

func (p *FilterParams) filter() (filter, error) {
	prefix, err := decodePrefix(p.Prefix, keyEncoding(p.KeyEncoding))
	var owner []byte
	if err == nil && p.Owner != "" {
		owner, err = decodeOwner(p.Owner, keyEncoding(p.OwnerEncoding))
	}
	return filter{
		owner:         owner,
		prefix:        prefix,
		contains:      []byte(p.Contains),
		expiresBefore: filterTime(p.ExpiresBefore),
		expiresAfter:  filterTime(p.ExpiresAfter),
		minSize:       p.MinSize,
		maxSize:       p.MaxSize,
	}, err
}

func filterTime(t time.Time) session.Time {
	if t.IsZero() {
		return 0
	}
	return session.FromTime(t)
}

// filterOf reads the filter of a JSON body.
func filterOf(b *adminapi.Filter) (filter, error) {
	f := filter{contains: []byte(b.Contains), minSize: b.MinSize, maxSize: -1}
	if b.ExpiresBefore != nil {
		f.expiresBefore = filterTime(*b.ExpiresBefore)
	}
	if b.ExpiresAfter != nil {
		f.expiresAfter = filterTime(*b.ExpiresAfter)
	}
	if b.MaxSize != nil {
		f.maxSize = *b.MaxSize
	}
	var err error
	switch {
	case b.OwnerBase64 != "":
		f.owner, err = decodeOwner(b.OwnerBase64, base64URLKey)
	case b.Owner != "":
		f.owner, err = decodeOwner(b.Owner, "")
	}
	if err != nil {
		return f, err
	}
	if b.PrefixBase64 != "" {
		prefix, err := decodePrefix(b.PrefixBase64, base64URLKey)
		f.prefix = prefix
		return f, err
	}
	prefix, err := decodePrefix(b.Prefix, "")
	f.prefix = prefix
	return f, err
}
