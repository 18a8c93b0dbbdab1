package session

// Stats are what every store knows of itself at one moment. Counters count from
// the store's opening; gauges describe the moment. What only one kind of store
// has to count it declares itself, as metrics.
type Stats struct {
	// Items and Bytes count what is live: items, and the bytes of their keys
	// and uncompressed values. They are exact except that an item which
	// expires within the present minute still counts until the minute ends.
	Items int64
	Bytes int64

	TotalItems int64 // counter: items stored
	Expired    int64 // counter: items whose expiry passed, to the minute
	Flushes    int64 // counter: flush commands carried out

	// Hot is the cache of decoded items in front of the disk.
	Hot HotStats

	Stalled    bool // writes wait for the disk
	OutOfSpace bool // what stores values is refused, see ErrNoSpace
	ReadOnly   bool // all that changes something is
}

// HotStats describe the cache of hot sessions. Hits and misses are those of
// gets, but for ones that only peek.
type HotStats struct {
	Items    int64
	Bytes    int64
	Capacity int64 // bytes
	Hits     int64
	Misses   int64
	Evicted  int64 // entries; the sessions stay on disk
}

// ForecastSlot says how much expires in the minute that begins at From.
type ForecastSlot struct {
	From  Time
	Items int64
	Bytes int64
}
