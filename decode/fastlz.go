package decode

import (
	"cairn/decode/fastlz"
)

// inflateFastLZ returns the size bytes that data was made from.
func inflateFastLZ(b *budget, data []byte, size int) ([]byte, error) {
	m := meter{budget: b}
	m.spend(0, 2*(len(data)+size))
	out := m.bytes(size)
	if m.err != nil {
		return nil, m.err
	}
	return fastlz.Append(out[:0:min(size, cap(out))], data)
}
