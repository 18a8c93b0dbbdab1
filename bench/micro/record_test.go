package micro_test

import (
	"testing"

	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

func BenchmarkRecordPut(b *testing.B) {
	header := record.Header{Flags: 3, Version: 1 << 40, Expiry: 1_790_000_000_000}
	buf := make([]byte, header.Len())
	b.ReportAllocs()
	for b.Loop() {
		header.Put(buf)
	}
}

func BenchmarkRecordDecode(b *testing.B) {
	header := record.Header{Version: 1 << 40, Expiry: session.Never}
	stored := make([]byte, header.Len()+1024)
	header.Put(stored)
	b.ReportAllocs()
	for b.Loop() {
		if _, body, ok, err := record.Decode(stored); !ok || err != nil || len(body) != 1024 {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkRecordKey(b *testing.B) {
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = record.AppendKey(buf[:0], ttl.Bucket(29_833_335), []byte(key))
		if _, k, ok := record.SplitKey(buf); !ok || len(k) != len(key) {
			b.Fatal(ok)
		}
	}
}
