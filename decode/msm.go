package decode

import (
	"bytes"
	"time"
)

// timestamp shows milliseconds since 1970 as memcached-session-manager and
// java.util.Date count them.
func timestamp(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// msmAuthTypes are the authentication types by their number.
var msmAuthTypes = map[uint16]string{0: "NONE", 1: "BASIC", 2: "CLIENT-CERT", 3: "DIGEST", 4: "FORM"}

// decodeMSM reads a session of memcached-session-manager: a header of fixed
// fields, then the attributes as some serializer wrote them. The layout is
// that of its TranscoderService, versions 1 and 2.
func decodeMSM(b *budget, data []byte, h Hints) (any, error) {
	r := newReader(b, data)
	version, length := r.u16(), int(r.u16())
	if r.err != nil || version != 1 && version != 2 || length > len(data) {
		return nil, errNotThis
	}
	header := newReader(b, data[4:max(4, length)])
	session, err := msmHeader(&header, version)
	if err != nil {
		return nil, err
	}
	session.add("attributes", msmAttributes(b, nested(b, data[length:], h)))
	return session, nil
}

// msmAttributes shows as a map what the serializer JavaSerializationTranscoder
// writes: the number of attributes, then each one's name and value.
func msmAttributes(b *budget, attributes any) any {
	stream, ok := attributes.(*list)
	if !ok || len(stream.items)%2 == 0 {
		return attributes
	}
	if n, ok := stream.items[0].(int64); !ok || int(n) != len(stream.items)/2 {
		return attributes
	}
	return newMapping(&meter{budget: b}, stream.items[1:])
}

func msmHeader(r *reader, version uint16) (*object, error) {
	o := newRecord(&r.meter)
	o.add("created", timestamp(int64(r.u64())))
	o.add("last_accessed", timestamp(int64(r.u64())))
	o.add("max_inactive_seconds", int64(int32(r.u32())))
	o.add("is_new", r.msmBool())
	o.add("is_valid", r.msmBool())
	o.add("this_accessed", timestamp(int64(r.u64())))
	o.add("last_backup", timestamp(int64(r.u64())))
	o.add("id", r.string(int(r.u16())))
	authType, known := msmAuthTypes[r.u16()]
	o.add("auth_type", authType)
	o.add("principal", nestedOrNil(r.budget, r.take(int(r.u16()))))
	if version > 1 {
		o.add("saved_request", nestedOrNil(r.budget, r.take(int(r.u16()))))
		o.add("saved_principal", nestedOrNil(r.budget, r.take(int(r.u16()))))
	}
	if r.err == nil && !known {
		return nil, errNotThis
	}
	return o, r.finish()
}

// msmBool reads a character that is 1 or 0.
func (r *reader) msmBool() bool {
	b := r.u8()
	if b != '0' && b != '1' {
		r.fail(errNotThis)
	}
	return b == '1'
}

func nestedOrNil(b *budget, data []byte) any {
	if len(data) == 0 {
		return nil
	}
	return nested(b, data, Hints{})
}

// nested decodes bytes within a value if they are a Java stream, and else
// shows them as they are.
func nested(b *budget, data []byte, h Hints) any {
	if v, err := decodeJava(b, data, h); err == nil {
		return v
	}
	m := &meter{budget: b}
	o := newRecord(m)
	o.add("@format", "unknown")
	o.add("@strings", newList(m, printable(m, data)))
	o.add("@data", m.text(data))
	return o
}

// printable returns the runs of at least four printable characters, as
// strings(1) does; class names and texts show up in it whatever the format.
func printable(m *meter, data []byte) []any {
	var found []any
	run := 0
	m.spend(0, 2*len(data))
	for i := 0; i <= len(data) && len(found) < 1000; i++ {
		if i < len(data) && data[i] >= ' ' && data[i] < 0x7f {
			run++
			continue
		}
		if run >= 4 {
			found = push[any](m, found, m.text(data[i-run:i]))
		}
		run = 0
	}
	return found
}

// decodeMSMValidity reads memcached-session-manager's entries under
// validity:<id>: three numbers about the session's life.
func decodeMSMValidity(b *budget, data []byte, h Hints) (any, error) {
	if len(data) != 20 || !bytes.HasPrefix(h.Key, []byte("validity:")) {
		return nil, errNotThis
	}
	r := newReader(b, data)
	o := newRecord(&r.meter)
	o.add("max_inactive_seconds", int64(int32(r.u32())))
	o.add("last_accessed", timestamp(int64(r.u64())))
	o.add("this_accessed", timestamp(int64(r.u64())))
	return o, r.finish()
}
