package protocol

import (
	"bytes"
	"encoding/binary"
	"testing"

	"cairn/session"
)

func TestBinaryReplies(t *testing.T) {
	h := BinaryHeader{Opcode: 0x0c, Opaque: 0xdeadbeef, CAS: 9}
	item := &session.Item{Key: []byte("key"), Value: []byte("value"), Flags: 7, Version: 5}
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"an empty answer", AppendBinary(nil, h, nil, ""),
			"810c0000 00000000 00000000 deadbeef 0000000000000009"},
		{"a statistic", AppendBinary(nil, h, []byte("pid"), "12"),
			"810c0003 00000000 00000005 deadbeef 0000000000000009 706964 3132"},
		{"a status", AppendBinaryStatus(nil, h, StatusKeyNotFound),
			"810c0000 00000001 00000009 deadbeef 0000000000000009 4e6f7420666f756e64"},
		{"an item", AppendBinaryItem(nil, h, item, false, true),
			"810c0000 04000000 00000009 deadbeef 0000000000000005 00000007 76616c7565"},
		{"an item with its key", AppendBinaryItem(nil, h, item, true, true),
			"810c0003 04000000 0000000c deadbeef 0000000000000005 00000007 6b6579 76616c7565"},
		{"an item without its value", AppendBinaryItem(nil, h, item, false, false),
			"810c0000 04000000 00000004 deadbeef 0000000000000005 00000007"},
		{"a number", AppendBinaryNumber(nil, h, 258),
			"810c0000 00000000 00000008 deadbeef 0000000000000009 0000000000000102"},
	} {
		if want := bytesOf(t, c.want); string(c.got) != want {
			t.Errorf("%s:\n%x, want\n%x", c.name, c.got, want)
		}
	}
}

func TestEveryFaultHasABinaryForm(t *testing.T) {
	for f := NoFault + 1; f < numFaults; f++ {
		if s := f.Status(); s == StatusSuccess || s.Text() == "" {
			t.Errorf("fault %d has status %#x, words %q", f, s, s.Text())
		}
	}
}

// FuzzBinaryReply writes replies and reads them back, field by field.
func FuzzBinaryReply(f *testing.F) {
	f.Add(byte(0), uint16(1), uint32(2), uint64(3), []byte("key"), []byte("value"), uint32(4))
	f.Fuzz(func(t *testing.T, opcode byte, status uint16, opaque uint32, cas uint64, key, value []byte, flags uint32) {
		key = key[:min(len(key), session.MaxKeyLen)]
		h := BinaryHeader{Opcode: opcode, Status: BinaryStatus(status), Opaque: opaque, CAS: cas}
		it := &session.Item{Key: key, Value: value, Flags: flags, Version: cas}
		prefix := []byte("before")
		reply := AppendBinaryItem(bytes.Clone(prefix), h, it, true, true)
		if !bytes.HasPrefix(reply, prefix) {
			t.Fatal("what stood before was changed")
		}
		reply = reply[len(prefix):]
		be := binary.BigEndian
		if reply[0] != BinaryReplyMagic || reply[1] != opcode || be.Uint16(reply[2:]) != uint16(len(key)) ||
			reply[4] != 4 || reply[5] != 0 || be.Uint16(reply[6:]) != status ||
			int(be.Uint32(reply[8:])) != len(reply)-24 || be.Uint32(reply[12:]) != opaque || be.Uint64(reply[16:]) != cas {
			t.Fatalf("header %x", reply[:24])
		}
		body := reply[24:]
		if be.Uint32(body) != flags || !bytes.Equal(body[4:], append(bytes.Clone(key), value...)) {
			t.Fatalf("body %x", body)
		}
	})
}
