package engine

// memory is what is known without the disk: of keys, by the locks of their
// stripes, and of the store as a whole. The locks of its parts are held for
// moments, none while another is taken, except that a stripe is locked before any
// of the others.
type memory struct {
	stripes stripes
	hot     *hotEntries
	buckets bucketList
	ledger  ledger
}
