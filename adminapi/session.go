package adminapi

import "time"

// Session is one session without its value.
type Session struct {
	Key          string     `json:"key" doc:"The key as text. What is not UTF-8 in it appears as U+FFFD; then key_base64 has the exact bytes."`
	KeyBase64    string     `json:"key_base64,omitempty" doc:"The key in base64url without padding, if it is not UTF-8."`
	Size         int        `json:"size" doc:"Bytes of the value."`
	Flags        uint32     `json:"flags" format:"int64" maximum:"4294967295" doc:"The client's own 32 bits."`
	Version      string     `json:"version" doc:"memcached's CAS unique in decimal; every change of the value makes a new one."`
	ExpiresAt    *time.Time `json:"expires_at,omitempty" doc:"The first instant at which the session is gone."`
	TTLSeconds   *float64   `json:"ttl_seconds,omitempty" doc:"Seconds left."`
	NeverExpires bool       `json:"never_expires,omitempty"`
	Stale        bool       `json:"stale,omitempty" doc:"Invalidated by memcached's meta protocol but kept."`
	Claimed      bool       `json:"claimed,omitempty" doc:"Some client was told to recache it."`
	Fetched      bool       `json:"fetched,omitempty" doc:"Read since it was stored, as far as the server remembers."`
	LastAccess   *time.Time `json:"last_access,omitempty" doc:"Last read or stored, as far as the server remembers."`
	CreatedAt    *time.Time `json:"created_at,omitempty" doc:"When the session began, for sessions of rules that need to know."`
	Owner        string     `json:"owner,omitempty" doc:"Whose the session is: the user's id, or its hash where the rules say so."`
	OwnerBase64  string     `json:"owner_base64,omitempty" doc:"The owner in base64url without padding, if it is not UTF-8."`
	Kind         string     `json:"kind,omitempty" doc:"How the value is written, such as php_session or zlib/json; text or binary if that is not recognised. In lists that ask for it."`
	ValueBase64  *string    `json:"value_base64,omitempty" doc:"The value in base64, where the request asked for it."`
}

// PutBody is a session to be stored.
type PutBody struct {
	Value       *string `json:"value,omitempty" doc:"The value as text. Give either this or value_base64."`
	Owner       string  `json:"owner,omitempty" doc:"Whose the session is: the user's id, or its hash where the rules say so."`
	OwnerBase64 string  `json:"owner_base64,omitempty" doc:"The owner in base64url without padding, if it is not UTF-8."`
	ValueBase64 *string `json:"value_base64,omitempty" doc:"The value in base64."`
	Flags       uint32  `json:"flags,omitempty" format:"int64" maximum:"4294967295"`
	Expiry
}

// SessionPage is one page of a listing, keys ascending by byte.
type SessionPage struct {
	Sessions   []Session `json:"sessions" nullable:"false"`
	NextCursor string    `json:"next_cursor,omitempty" doc:"Absent on the last page. A page may have fewer sessions than asked for, even none, and still have a next one."`
	Examined   int       `json:"examined" doc:"Sessions that the page looked at."`
}

// Expiry is how a request body says when a session ends: exactly one of the
// three.
type Expiry struct {
	TTLSeconds   *float64   `json:"ttl_seconds,omitempty" minimum:"0" doc:"Seconds from now until the session expires."`
	ExpiresAt    *time.Time `json:"expires_at,omitempty" doc:"The first instant at which the session is gone."`
	NeverExpires bool       `json:"never_expires,omitempty" doc:"Keep the session until it is deleted."`
}
