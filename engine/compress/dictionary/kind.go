package dictionary

// Kind groups sessions that resemble each other, so that each group gets a
// dictionary of its own: sessions of one application under one key prefix.
type Kind uint32

// KindOf tells the kind of a session from the prefix of its key (up to and
// with the last ':' or '.' of its first 32 bytes) and the first byte of its
// value, which differs between serialisation formats. Equal inputs give equal
// kinds in every version of Cairn, since dictionaries are stored by kind.
func KindOf(key, value []byte) Kind {
	const maxPrefix, offset, prime = 32, 2166136261, 16777619 // FNV-1a
	prefix := key[:min(len(key), maxPrefix)]
	for len(prefix) > 0 && prefix[len(prefix)-1] != ':' && prefix[len(prefix)-1] != '.' {
		prefix = prefix[:len(prefix)-1]
	}
	hash := uint32(offset)
	for _, b := range prefix {
		hash = (hash ^ uint32(b)) * prime
	}
	if len(value) > 0 {
		hash = (hash ^ uint32(value[0])) * prime
	}
	return Kind(hash)
}
