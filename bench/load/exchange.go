package load

import (
	"bytes"
	"errors"

	"cairn/bench/dialect"
)

// errUnexpected is a reply that answers nothing that was asked.
var errUnexpected = errors.New("load: a reply that nobody asked for")

// exchange is a number of operations on their way: encoded at once, answered
// in order.
type exchange struct {
	dialect Dialect
	ops     []Op
	at      int // index of the operation that is answered next
	item    int // and of the next key in it, for a GetMulti
}

// encode appends all requests of the exchange to dst.
func (x *exchange) encode(dst []byte) []byte {
	x.at, x.item = 0, 0
	for i := range x.ops {
		dst = appendOp(dst, x.dialect, &x.ops[i])
	}
	if e, ok := x.dialect.(Ender); ok {
		dst = e.AppendEnd(dst)
	}
	return dst
}

func appendOp(dst []byte, d Dialect, op *Op) []byte {
	switch op.Kind {
	case Get:
		return d.AppendGet(dst, op.Key)
	case GetMulti:
		return d.AppendGetMulti(dst, op.Keys)
	case Set:
		return d.AppendStore(dst, dialect.Set, op.Key, op.Value, 0, op.Exptime)
	case Add:
		return d.AppendStore(dst, dialect.Add, op.Key, op.Value, 0, op.Exptime)
	case Touch:
		return d.AppendTouch(dst, op.Key, op.Exptime)
	default:
		return d.AppendDelete(dst, op.Key)
	}
}

// take reads the next reply in buf and hands what it answers to answer. n is 0
// if the reply is incomplete; done is the operation that it completes, if any.
func (x *exchange) take(buf []byte, answer func(*Op, Answer)) (n int, done *Op, err error) {
	reply, n, err := x.dialect.Next(buf)
	if n == 0 {
		return 0, nil, err
	}
	if x.at == len(x.ops) {
		return 0, nil, errUnexpected
	}
	op := &x.ops[x.at]
	if op.Kind == GetMulti {
		err = x.takeItem(op, reply, answer)
	} else {
		err = x.takeSingle(op, reply, answer)
	}
	if err != nil {
		return 0, nil, err
	}
	if !reply.Last {
		return n, nil, nil
	}
	x.at++
	x.item = 0
	return n, op, nil
}

// takeSingle handles operations on one key. A text get ends with a reply of its
// own, which means a miss unless a value came before it; item remembers that.
func (x *exchange) takeSingle(op *Op, reply dialect.Reply, answer func(*Op, Answer)) error {
	switch {
	case reply.Status == dialect.End && x.item > 0:
		return nil
	case reply.Status == dialect.Failed:
		answer(op, Answer{Outcome: Refused, Value: reply.Value})
		return nil
	case op.Kind == Get && reply.Status == dialect.OK,
		op.Kind != Get && (reply.Status == dialect.Value || reply.Status == dialect.End):
		return errUnexpected
	case reply.Status == dialect.OK, reply.Status == dialect.Value:
		x.item++
		answer(op, Answer{Outcome: Done, Value: reply.Value})
	default:
		answer(op, Answer{Outcome: Absent})
	}
	return nil
}

// takeItem handles the replies to a GetMulti: found items repeat their key and
// leave out the missing ones, or come one for each key without repeating it.
func (x *exchange) takeItem(op *Op, reply dialect.Reply, answer func(*Op, Answer)) error {
	switch reply.Status {
	case dialect.Value:
		for len(reply.Key) > 0 && x.item < len(op.Keys) && !bytes.Equal(reply.Key, op.Keys[x.item]) {
			x.miss(op, answer)
		}
		if x.item == len(op.Keys) {
			return errUnexpected
		}
		answer(op, Answer{Item: x.item, Outcome: Done, Value: reply.Value})
		x.item++
	case dialect.NotFound:
		if x.item == len(op.Keys) {
			return errUnexpected
		}
		x.miss(op, answer)
	case dialect.Failed:
		answer(op, Answer{Item: x.item, Outcome: Refused, Value: reply.Value})
		return nil
	}
	for reply.Last && x.item < len(op.Keys) {
		x.miss(op, answer)
	}
	return nil
}

func (x *exchange) miss(op *Op, answer func(*Op, Answer)) {
	answer(op, Answer{Item: x.item, Outcome: Absent})
	x.item++
}
