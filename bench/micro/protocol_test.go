package micro_test

import (
	"errors"
	"testing"

	"cairn/bench/dialect"
	"cairn/bench/payload"
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

var limits = protocol.Limits{MaxKeyLen: session.MaxKeyLen, MaxValueSize: session.DefaultMaxValueSize}

const key = "memc.sess.key.6f3c0a9b17d24e58a1c2d3e4f5061728"

// parse is one of the protocol's parsers.
type parse func(buf []byte, limits *protocol.Limits, r *protocol.Request) (n int, err error)

// A client's requests, sixteen in one buffer as a pipeline brings them.
func BenchmarkParse(b *testing.B) {
	value := payload.NewPool(payload.Options{Count: 1, Formats: []payload.Format{payload.PHP}}).Append(nil, 0, 1)
	text, meta, binary := dialect.Text{}, dialect.Meta{}, dialect.Binary{}
	k := []byte(key)
	for _, c := range []struct {
		name    string
		parse   parse
		request []byte
	}{
		{"text/get", protocol.ParseText, text.AppendGet(nil, k)},
		{"text/set", protocol.ParseText, text.AppendStore(nil, dialect.Set, k, value, 0, 1800)},
		{"text/touch", protocol.ParseText, text.AppendTouch(nil, k, 1800)},
		{"meta/get", protocol.ParseText, meta.AppendGet(nil, k)},
		{"meta/set", protocol.ParseText, meta.AppendStore(nil, dialect.Set, k, value, 0, 1800)},
		{"binary/get", protocol.ParseBinary, binary.AppendGet(nil, k)},
		{"binary/set", protocol.ParseBinary, binary.AppendStore(nil, dialect.Set, k, value, 0, 1800)},
	} {
		var pipeline []byte
		for range 16 {
			pipeline = append(pipeline, c.request...)
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(c.request)))
			var r protocol.Request
			for n := 0; b.Loop(); {
				r.Reset()
				taken, err := c.parse(pipeline[n:], &limits, &r)
				if err != nil {
					b.Fatal(err)
				}
				if n += taken; n == len(pipeline) {
					n = 0
				}
			}
		})
	}
}

// A set of which only a part has arrived: what it costs to look at it again.
func BenchmarkParseIncomplete(b *testing.B) {
	request := dialect.Text{}.AppendStore(nil, dialect.Set, []byte(key), make([]byte, 64<<10), 0, 0)
	var r protocol.Request
	b.ReportAllocs()
	for b.Loop() {
		r.Reset()
		if _, err := protocol.ParseText(request[:32<<10], &limits, &r); !errors.Is(err, protocol.ErrIncomplete) {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendValue(b *testing.B) {
	item := session.Item{Key: []byte(key), Value: make([]byte, 1024), Version: 1 << 40}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = protocol.AppendValue(buf[:0], &item, false)
	}
	b.SetBytes(int64(len(buf)))
}

// What the load generator itself spends on a reply.
func BenchmarkClientNext(b *testing.B) {
	item := session.Item{Key: []byte(key), Value: make([]byte, 1024)}
	reply := append(protocol.AppendValue(nil, &item, false), "END\r\n"...)
	b.ReportAllocs()
	for b.Loop() {
		for n := 0; n < len(reply); {
			_, taken, err := dialect.Text{}.Next(reply[n:])
			if err != nil {
				b.Fatal(err)
			}
			n += taken
		}
	}
}
