package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"cairn/session"
)

// Fields of a result: bits of its mask. Numbers come first, in the order of
// resultNumbers; what stands behind resultValue has no bytes but its bit.
const (
	resultFlags = iota
	resultVersion
	resultExpiry
	resultLastAccess
	resultNumber
	resultNumberCount

	resultValue   = 1 << resultNumberCount
	resultKey     = 2 << resultNumberCount // Item.Key is the command's
	resultStale   = 4 << resultNumberCount
	resultClaimed = 8 << resultNumberCount
	resultFetched = 16 << resultNumberCount
	resultWon     = 32 << resultNumberCount
	resultCreated = 64 << resultNumberCount

	// From level 2 on, behind all others. Born is its distance from Version.
	resultCreatedAt = 128 << resultNumberCount
	resultOwner     = 256 << resultNumberCount
	resultBorn      = 512 << resultNumberCount

	resultTimes = 1<<resultExpiry | 1<<resultLastAccess
)

// leastResult is the fewest bytes that a result takes.
const leastResult = 2

// errForeign is the error of results that do not belong to their burst.
var errForeign = errors.New("codec: a result does not fit its command")

type resultNumbers [resultNumberCount]uint64

func (n *resultNumbers) take(r *session.Result) {
	n[resultFlags] = uint64(r.Item.Flags)
	n[resultVersion] = r.Item.Version
	n[resultExpiry] = uint64(r.Item.Expiry)
	n[resultLastAccess] = uint64(r.Item.LastAccess)
	n[resultNumber] = r.Number
}

func (n *resultNumbers) put(r *session.Result) {
	r.Item.Flags = uint32(n[resultFlags])
	r.Item.Version = n[resultVersion]
	r.Item.Expiry = session.Time(n[resultExpiry])
	r.Item.LastAccess = session.Time(n[resultLastAccess])
	r.Number = n[resultNumber]
}

// resultBits are the fields of a result that have no bytes but their bit.
func resultBits(r *session.Result) (bits uint64) {
	for _, f := range [...]struct {
		set bool
		bit uint64
	}{
		{len(r.Item.Key) > 0, resultKey}, {r.Item.Stale, resultStale}, {r.Item.Claimed, resultClaimed},
		{r.Item.Fetched, resultFetched}, {r.Won, resultWon}, {r.Created, resultCreated},
	} {
		if f.set {
			bits |= f.bit
		}
	}
	return bits
}

// AppendResults appends the results of b to dst: one for each of its commands,
// which the reader must have, since keys are not repeated. What the level does
// not know of an item is left out: its Born comes back as its Version then. The error is an
// UnknownError if level does not know all of them; dst comes back as it was
// then.
func AppendResults(dst []byte, b *session.Burst, level Level) ([]byte, error) {
	v, err := level.vocabulary()
	if err != nil {
		return dst, err
	}
	if len(b.Results) != len(b.Commands) {
		return dst, errForeign
	}
	if len(b.Results) > session.MaxCommands {
		return dst, ErrTooMany
	}
	start := len(dst)
	dst = append(dst, byte(level))
	dst = binary.AppendUvarint(dst, zigzag(int64(b.Now)))
	dst = binary.AppendUvarint(dst, uint64(len(b.Results)))
	for i := range b.Results {
		r := &b.Results[i]
		if err := level.checkResult(v, &b.Commands[i], r); err != nil {
			return dst[:start], fmt.Errorf("result %d: %w", i, err)
		}
		dst = appendResult(dst, r, v, b.Now)
	}
	return dst, nil
}

func (l Level) checkResult(v *vocabulary, c *session.Command, r *session.Result) error {
	switch {
	case r.Status == 0 || r.Status > v.lastStatus:
		return &UnknownError{Level: l, What: "status", Value: uint64(r.Status)}
	case (r.Status == session.Failed) != (r.Err != nil):
		return errForeign
	case len(r.Item.Key) > 0 && !bytes.Equal(r.Item.Key, c.Key):
		return errForeign
	}
	return nil
}

func appendResult(dst []byte, r *session.Result, v *vocabulary, now session.Time) []byte {
	var numbers resultNumbers
	numbers.take(r)
	mask := maskOf(numbers[:]) | resultBits(r)
	if len(r.Item.Value) > 0 {
		mask |= resultValue
	}
	if r.Item.Created != 0 {
		mask |= resultCreatedAt
	}
	if len(r.Item.Owner) > 0 {
		mask |= resultOwner
	}
	if r.Item.Born != r.Item.Version {
		mask |= resultBorn
	}
	mask &= v.resultFields
	dst = append(dst, byte(r.Status))
	dst = binary.AppendUvarint(dst, mask)
	dst = appendNumbers(dst, numbers[:], resultTimes, now)
	if mask&resultValue != 0 {
		dst = appendBytes(dst, r.Item.Value)
	}
	if mask&resultCreatedAt != 0 {
		dst = binary.AppendUvarint(dst, zigzag(int64(r.Item.Created-now)))
	}
	if mask&resultOwner != 0 {
		dst = appendBytes(dst, r.Item.Owner)
	}
	if mask&resultBorn != 0 {
		dst = binary.AppendUvarint(dst, r.Item.Version-r.Item.Born)
	}
	if r.Err != nil {
		code, text := encodeError(r.Err, v.errors)
		dst = append(dst, byte(code))
		dst = appendBytes(dst, []byte(text))
	}
	return dst
}

// DecodeResults makes b.Results what data holds for the commands of b, and
// tells the level. Values alias data, which must stay unchanged for as long as
// the results are used; keys are the commands'. What it allocates is bounded by
// the number of commands.
//
// The error is ErrMalformed or an UnknownError; b.Results is empty then.
func DecodeResults(data []byte, b *session.Burst) (Level, error) {
	b.Results = b.Results[:0]
	r, level, v, err := open(data)
	if err == nil {
		err = r.results(b, level, v)
	}
	if err == nil {
		err = r.end()
	}
	if err != nil {
		b.Results = b.Results[:0]
	}
	return level, err
}

func (r *reader) results(b *session.Burst, level Level, v *vocabulary) error {
	now := r.time()
	n := r.count(leastResult)
	if r.bad || n != len(b.Commands) {
		return ErrMalformed
	}
	b.SizeResults()
	for i := range b.Results {
		if err := r.result(&b.Commands[i], &b.Results[i], level, v, now); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) result(c *session.Command, to *session.Result, level Level, v *vocabulary, now session.Time) error {
	to.Status = session.Status(r.byte())
	mask := r.upTo(v.resultFields)
	var numbers resultNumbers
	r.numbers(numbers[:], mask, resultTimes, now)
	if numbers[resultFlags] > math.MaxUint32 {
		r.fail()
	}
	numbers.put(to)
	if mask&resultValue != 0 {
		if to.Item.Value = r.bytes(); to.Item.Value == nil {
			r.fail()
		}
	}
	if mask&resultKey != 0 {
		if to.Item.Key = c.Key; len(c.Key) == 0 {
			r.fail()
		}
	}
	to.Item.Created, to.Item.Owner = r.session(mask, resultCreatedAt, resultOwner, now)
	to.Item.Born = to.Item.Version
	if mask&resultBorn != 0 {
		before := r.number()
		if to.Item.Born -= before; before == 0 {
			r.fail()
		}
	}
	to.Item.Stale = mask&resultStale != 0
	to.Item.Claimed = mask&resultClaimed != 0
	to.Item.Fetched = mask&resultFetched != 0
	to.Won = mask&resultWon != 0
	to.Created = mask&resultCreated != 0
	switch {
	case r.bad:
		return ErrMalformed
	case to.Status == 0 || to.Status > v.lastStatus:
		return &UnknownError{Level: level, What: "status", Value: uint64(to.Status)}
	case to.Status == session.Failed:
		return r.error(to, level, v)
	}
	return nil
}

// error takes the error of a result.
func (r *reader) error(to *session.Result, level Level, v *vocabulary) error {
	code, text := int(r.byte()), r.bytes()
	switch {
	case r.bad || !utf8.Valid(text):
		return ErrMalformed
	case code > v.errors:
		return &UnknownError{Level: level, What: "error", Value: uint64(code)}
	}
	if to.Err = decodeError(code, text); to.Err == nil {
		return ErrMalformed
	}
	return nil
}
