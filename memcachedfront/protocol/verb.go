package protocol

// Verb says what a client asks for, whichever of the three protocols it
// speaks.
type Verb uint8

const (
	// Invalid is a request that cannot be carried out; Request.Fault says why.
	Invalid Verb = iota

	// Classic commands. The binary opcodes of the same meaning use them too.
	Get
	Gets
	Gat
	Gats
	Set
	Add
	Replace
	Append
	Prepend
	CAS
	Incr
	Decr
	Delete
	Touch

	// Meta commands, text only.
	MetaGet
	MetaSet
	MetaDelete
	MetaArithmetic
	MetaNoop
	MetaDebug

	// Administration. Request.Args holds the arguments.
	FlushAll
	Version
	Verbosity
	Quit
	Stats
	Shutdown
	CacheMemlimit
	Slabs
	LRU
	LRUCrawler
	Watch
	Config
	RefreshCerts
	Extstore

	// Binary only.
	Noop
	SASLList
	SASLAuth
	SASLStep

	// NumVerbs is the number of verbs, for tables indexed by Verb.
	NumVerbs
)

var verbNames = [NumVerbs]string{
	Invalid: "invalid",
	Get:     "get", Gets: "gets", Gat: "gat", Gats: "gats",
	Set: "set", Add: "add", Replace: "replace", Append: "append", Prepend: "prepend", CAS: "cas",
	Incr: "incr", Decr: "decr", Delete: "delete", Touch: "touch",
	MetaGet: "mg", MetaSet: "ms", MetaDelete: "md", MetaArithmetic: "ma", MetaNoop: "mn", MetaDebug: "me",
	FlushAll: "flush_all", Version: "version", Verbosity: "verbosity", Quit: "quit", Stats: "stats",
	Shutdown: "shutdown", CacheMemlimit: "cache_memlimit", Slabs: "slabs", LRU: "lru",
	LRUCrawler: "lru_crawler", Watch: "watch", Config: "config", RefreshCerts: "refresh_certs",
	Extstore: "extstore",
	Noop:     "noop", SASLList: "sasl_list", SASLAuth: "sasl_auth", SASLStep: "sasl_step",
}

// String returns the verb's name in the text protocol, or a similar one.
func (v Verb) String() string {
	if v >= NumVerbs {
		return "unknown"
	}
	return verbNames[v]
}
