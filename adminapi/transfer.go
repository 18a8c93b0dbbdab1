package adminapi

import "time"

// Record is one line of an import: what an export gives, of which the members
// that are not here are ignored. If several say when it expires, the first of
// expires_at, ttl_seconds and never_expires wins.
type Record struct {
	Key         string     `json:"key,omitempty" doc:"The key as text."`
	KeyBase64   string     `json:"key_base64,omitempty" doc:"The key in base64; wins over key."`
	Value       *string    `json:"value,omitempty" doc:"The value as text. Give either this or value_base64."`
	ValueBase64 *string    `json:"value_base64,omitempty" doc:"The value in base64."`
	Flags       uint32     `json:"flags,omitempty" format:"int64" maximum:"4294967295"`
	CreatedAt   *time.Time `json:"created_at,omitempty" doc:"When the session began, for rules that need to know."`
	Expiry
}

// ImportResult counts the lines of an import.
type ImportResult struct {
	Lines   int64 `json:"lines" doc:"Read."`
	Stored  int64 `json:"stored"`
	Kept    int64 `json:"kept" doc:"Left as they were in the store, with keep=true."`
	Expired int64 `json:"expired" doc:"Skipped because their time was over."`

	TooLarge int64         `json:"too_large" doc:"Skipped because the server takes no value of that size."`
	Skipped  []SkippedLine `json:"skipped,omitempty" maxItems:"100" doc:"The first of those that were too large."`
}

// SkippedLine is a line of an import that was left out.
type SkippedLine struct {
	Line      int64  `json:"line" doc:"From 1."`
	Key       string `json:"key,omitempty" doc:"The key, if it is UTF-8 and the line was not too long to be read."`
	KeyBase64 string `json:"key_base64,omitempty" doc:"The key in base64url without padding, if it is not UTF-8."`
	Reason    string `json:"reason"`
}

// BackupTicket is a link to a backup.
type BackupTicket struct {
	Path    string    `json:"path" doc:"Where to get the backup, once, without a token."`
	Expires time.Time `json:"expires_at"`
}
