package engine

import (
	"runtime"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// A process that may use little memory compresses tables in a way that takes little.
func TestCompressionWithLittleMemory(t *testing.T) {
	enough := int64(runtime.GOMAXPROCS(0)) * zstdBytes * 6
	for _, c := range []struct {
		compression   Compression
		memory        int64
		upper, bottom string
	}{
		{CompressionDict, 0, "NoCompression", "Balanced"},
		{CompressionDict, enough, "NoCompression", "Balanced"},
		{CompressionDict, enough - 1, "NoCompression", "Fastest"},
		{CompressionBlock, enough, "Fastest", "Balanced"},
		{CompressionBlock, enough - 1, "Fastest", "Fastest"},
		{CompressionOff, enough - 1, "NoCompression", "NoCompression"},
	} {
		var o pebble.Options
		c.compression.configure(&o, c.memory)
		upper, bottom := o.Levels[0].Compression().Name, o.Levels[len(o.Levels)-1].Compression().Name
		if upper != c.upper || bottom != c.bottom {
			t.Errorf("%v, %d bytes: %s above %s, want %s above %s", c.compression, c.memory, upper, bottom, c.upper, c.bottom)
		}
	}
}
