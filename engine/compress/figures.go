package compress

import "cairn/figures"

// Figures say what compression has done since New.
type Figures struct {
	In, Out         int64 // bytes of values, and of the bodies they became
	Dictionaries    int64
	DictionaryBytes int64
}

// Declared are the figures of compression that operators see.
var Declared = figures.Set[Figures]{
	figures.Gauge("cairn_dictionaries", "Compression dictionaries in use.", func(f Figures) int64 { return f.Dictionaries }),
	figures.Gauge("cairn_dictionary_bytes", "Bytes of compression dictionaries.", func(f Figures) int64 { return f.DictionaryBytes }),
	figures.Counter("cairn_compression_in_bytes_total", "Bytes given to the value codec.", func(f Figures) int64 { return f.In }),
	figures.Counter("cairn_compression_out_bytes_total", "Bytes that the value codec produced.", func(f Figures) int64 { return f.Out }),
}

// Figures returns the present figures.
func (v *Values) Figures() Figures {
	f := Figures{In: v.in.Load(), Out: v.out.Load()}
	for _, d := range v.set.All() {
		f.Dictionaries++
		f.DictionaryBytes += int64(len(d.Raw))
	}
	return f
}
