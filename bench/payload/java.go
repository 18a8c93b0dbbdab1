package payload

import (
	"bytes"
	"encoding/binary"
	"math"
)

// encodeJava serializes v as a java.util.HashMap of session attributes (Java
// Object Serialization Specification, chapter 6: stream protocol).
func encodeJava(v *visit) template {
	w := javaWriter{handles: map[string]uint32{}}
	w.u16(0xaced)
	w.u16(5)
	texts := []attribute{{"request.token", placeholder}, {"user.locale", v.locale}}
	if !v.guest {
		texts = append(texts, attribute{"user.name", v.name}, attribute{"user.email", v.email},
			attribute{"client.address", v.address}, attribute{"client.agent", v.agent},
			attribute{"SPRING_SECURITY_CSRF_TOKEN", v.csrf},
			attribute{"SPRING_SECURITY_SAVED_REQUEST", v.returnTo})
	}
	w.mapHeader(4 + len(texts))
	w.text("user.id")
	w.long(v.userID)
	for _, a := range texts {
		w.text(a.name)
		w.text(a.value)
	}
	w.text("cart")
	w.cart(v.cart)
	w.text("recentlyViewed")
	w.views(v.viewed)
	w.text("notes")
	w.notes(v)
	w.byte(javaEndBlock)
	return template{w.Bytes(), bytes.Index(w.Bytes(), []byte(placeholder))}
}

const (
	javaReference = 0x71
	javaClassDesc = 0x72
	javaObject    = 0x73
	javaString    = 0x74
	javaBlock     = 0x77
	javaEndBlock  = 0x78
	javaNull      = 0x70

	javaSerializable = 0x02 // class descriptor flags
	javaWriteMethod  = 0x01

	javaFirstHandle = 0x7e0000
)

// javaWriter writes an object stream. It hands out handles as Java does, so
// that a repeated string or class is a reference.
type javaWriter struct {
	bytes.Buffer
	handles map[string]uint32
	next    uint32
}

func (w *javaWriter) byte(b byte)  { w.WriteByte(b) }
func (w *javaWriter) u16(n uint16) { w.Write(binary.BigEndian.AppendUint16(nil, n)) }
func (w *javaWriter) u32(n uint32) { w.Write(binary.BigEndian.AppendUint32(nil, n)) }
func (w *javaWriter) u64(n uint64) { w.Write(binary.BigEndian.AppendUint64(nil, n)) }

func (w *javaWriter) utf(s string) {
	w.u16(uint16(len(s)))
	w.WriteString(s)
}

// refer writes a reference if name has a handle already, and otherwise opens
// what name stands for with tag.
func (w *javaWriter) refer(name string, tag byte) (referred bool) {
	handle, known := w.handles[name]
	if known {
		w.byte(javaReference)
		w.u32(javaFirstHandle + handle)
		return true
	}
	w.byte(tag)
	return false
}

// hand gives name the next handle.
func (w *javaWriter) hand(name string) {
	w.handles[name] = w.next
	w.next++
}

func (w *javaWriter) text(s string) {
	name := "\"" + s // no class is called that
	if !w.refer(name, javaString) {
		w.hand(name)
		w.utf(s)
	}
}

// A javaClass describes a class: its fields in the order of the stream, as
// "name:TYPE".
type javaClass struct {
	name   string
	uid    uint64
	flags  byte
	fields []string
	super  *javaClass
}

var (
	javaNumber = &javaClass{"java.lang.Number", 0x86ac951d0b94e08b, javaSerializable, nil, nil}
	javaLong   = &javaClass{"java.lang.Long", 0x3b8be490cc8f23df, javaSerializable, []string{"value:J"}, javaNumber}
	javaMap    = &javaClass{"java.util.HashMap", 0x0507dac1c31660d1, javaSerializable | javaWriteMethod,
		[]string{"loadFactor:F", "threshold:I"}, nil}
	javaList = &javaClass{"java.util.ArrayList", 0x7881d21d99c7619d, javaSerializable | javaWriteMethod,
		[]string{"size:I"}, nil}
	javaCartItem = &javaClass{"com.example.shop.CartItem", 0x1f3a55c20b6e9d41, javaSerializable,
		[]string{"addedAt:J", "price:D", "quantity:I", "sku:Ljava/lang/String;", "title:Ljava/lang/String;"}, nil}
	javaPageView = &javaClass{"com.example.shop.PageView", 0x6b90c4417d21ee08, javaSerializable,
		[]string{"at:J", "productId:I"}, nil}
)

// object begins an object of class c.
func (w *javaWriter) object(c *javaClass) {
	w.byte(javaObject)
	w.class(c)
	w.next++ // the object's own handle
}

func (w *javaWriter) class(c *javaClass) {
	if c == nil {
		w.byte(javaNull)
		return
	}
	if w.refer(c.name, javaClassDesc) {
		return
	}
	w.utf(c.name)
	w.u64(c.uid)
	w.hand(c.name)
	w.byte(c.flags)
	w.u16(uint16(len(c.fields)))
	for _, field := range c.fields {
		name, kind, _ := bytes.Cut([]byte(field), []byte(":"))
		w.byte(kind[0])
		w.utf(string(name))
		if kind[0] == 'L' {
			w.text(string(kind))
		}
	}
	w.byte(javaEndBlock)
	w.class(c.super)
}

func (w *javaWriter) long(n int64) {
	w.object(javaLong)
	w.u64(uint64(n))
}

// mapHeader begins a HashMap of that many entries; the keys and values follow,
// then an end of block.
func (w *javaWriter) mapHeader(entries int) {
	capacity := 16
	for capacity*3/4 < entries {
		capacity *= 2
	}
	w.object(javaMap)
	w.u32(math.Float32bits(0.75))
	w.u32(uint32(capacity * 3 / 4))
	w.byte(javaBlock)
	w.byte(8)
	w.u32(uint32(capacity))
	w.u32(uint32(entries))
}

// list begins an ArrayList; the elements follow, then an end of block.
func (w *javaWriter) list(length int) {
	w.object(javaList)
	w.u32(uint32(length))
	w.byte(javaBlock)
	w.byte(4)
	w.u32(uint32(length))
}

func (w *javaWriter) cart(items []cartItem) {
	w.list(len(items))
	for _, item := range items {
		w.object(javaCartItem)
		w.u64(uint64(item.added))
		w.u64(math.Float64bits(float64(item.price) / 100))
		w.u32(uint32(item.quantity))
		w.text(item.sku)
		w.text(item.title)
	}
	w.byte(javaEndBlock)
}

func (w *javaWriter) views(views []pageView) {
	w.list(len(views))
	for _, view := range views {
		w.object(javaPageView)
		w.u64(uint64(view.at))
		w.u32(uint32(view.product))
	}
	w.byte(javaEndBlock)
}

// notes writes messages, roles and campaigns as one list of strings.
func (w *javaWriter) notes(v *visit) {
	w.list(len(v.messages) + len(v.roles) + len(v.campaigns))
	for _, message := range v.messages {
		w.text(message)
	}
	for _, role := range v.roles {
		w.text(role)
	}
	for _, a := range v.campaigns {
		w.text(a.name + "=" + a.value)
	}
	w.byte(javaEndBlock)
}
