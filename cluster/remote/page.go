package remote

import (
	"bytes"
	"encoding/binary"
	"slices"

	"cairn/session"
	"cairn/session/codec"
)

// A page of items has a byte that says whether there are more, the keys as a burst of
// reads with the length of that, and their results.

// maxPageItems bounds the items of a page.
const maxPageItems = 512

// Page collects items for an answer.
type Page struct {
	burst session.Burst
	size  int
}

// Add copies an item, and reports whether there may be another one.
func (p *Page) Add(it *session.Item) bool {
	c := p.burst.Add()
	c.Op, c.Mods, c.Key = session.OpGet, session.Peek, bytes.Clone(it.Key)
	copied := *it
	copied.Key, copied.Value, copied.Owner = c.Key, slices.Clone(it.Value), slices.Clone(it.Owner)
	p.burst.Results = append(p.burst.Results, session.Result{Status: session.OK, Item: copied})
	p.size += len(it.Key) + len(it.Value)
	return len(p.burst.Commands) < maxPageItems && p.size < MaxPage
}

// Answer is the answer that has the items. More says that there may be others.
func (p *Page) Answer(more bool, level codec.Level) []byte {
	answer := []byte{codeDone, 0}
	if more {
		answer[1] = 1
	}
	keys, err := codec.AppendBurst(nil, &p.burst, level)
	if err == nil {
		answer = binary.AppendUvarint(answer, uint64(len(keys)))
		answer, err = codec.AppendResults(append(answer, keys...), &p.burst, level)
	}
	if err != nil {
		return Failure(err)
	}
	return answer
}

// DecodePage returns the items of an answer, which alias it.
func DecodePage(answer []byte) (items []session.Result, more bool, err error) {
	body, err := Open(answer)
	if err != nil {
		return nil, false, err
	}
	if len(body) == 0 || body[0] > 1 {
		return nil, false, ErrMalformed
	}
	more, body = body[0] == 1, body[1:]
	length, size := binary.Uvarint(body)
	if size <= 0 || length > uint64(len(body)-size) {
		return nil, false, ErrMalformed
	}
	body = body[size:]
	var b session.Burst
	if _, err := codec.DecodeBurst(body[:length], &b); err != nil {
		return nil, false, err
	}
	if _, err := codec.DecodeResults(body[length:], &b); err != nil {
		return nil, false, err
	}
	return b.Results, more, nil
}

// Add copies an owner, and reports whether there may be another one.
func (o *Owners) Add(one *session.OwnerSummary) bool {
	copied := *one
	copied.Owner = bytes.Clone(one.Owner)
	o.Owners = append(o.Owners, copied)
	return len(o.Owners) < maxPageItems
}
