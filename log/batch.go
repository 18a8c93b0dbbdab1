package log

// batch is records that wait to be written.
type batch struct {
	first Position
	data  []byte
	ends  []int // of the records in data
}

func (b *batch) record(i int) []byte {
	start := 0
	if i > 0 {
		start = b.ends[i-1]
	}
	return b.data[start:b.ends[i]]
}

func (b *batch) add(record []byte) {
	b.data = append(b.data, record...)
	b.ends = append(b.ends, len(b.data))
}

// last is the position of the last record; first-1 if there is none.
func (b *batch) last() Position { return b.first + Position(len(b.ends)) - 1 }

func (b *batch) has(p Position) bool { return b.first <= p && p-b.first < Position(len(b.ends)) }

// keptBatch is up to which size, in bytes, the memory of a batch is used again.
const keptBatch = 4 << 20

// reset empties b. Its next record is first.
func (b *batch) reset(first Position) {
	if cap(b.data) > keptBatch {
		b.data, b.ends = nil, nil
	}
	b.first, b.data, b.ends = first, b.data[:0], b.ends[:0]
}
