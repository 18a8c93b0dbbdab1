package adminapi

import "time"

// Filter chooses sessions. Its zero value chooses all; everything that is set
// narrows the choice.
type Filter struct {
	Prefix        string     `json:"prefix,omitempty" doc:"Only keys that begin with this (a namespace)."`
	PrefixBase64  string     `json:"prefix_base64,omitempty" doc:"The prefix in base64, for bytes that are not UTF-8; wins over prefix."`
	Contains      string     `json:"contains,omitempty" maxLength:"250" doc:"Only keys with this somewhere in them."`
	Owner         string     `json:"owner,omitempty" maxLength:"1024" doc:"Only sessions of the user with this id, or whose id has this hash."`
	OwnerBase64   string     `json:"owner_base64,omitempty" doc:"The id in base64, for bytes that are not UTF-8; wins over owner."`
	ExpiresBefore *time.Time `json:"expires_before,omitempty" doc:"Only sessions that expire before this instant."`
	ExpiresAfter  *time.Time `json:"expires_after,omitempty" doc:"Only sessions that expire after this instant, or never."`
	MinSize       int64      `json:"min_size,omitempty" minimum:"0" doc:"Only values of at least so many bytes."`
	MaxSize       *int64     `json:"max_size,omitempty" minimum:"0" doc:"Only values of at most so many bytes."`
}
