// Package adminapi is Cairn's HTTP API for administrators as Go types: the
// bodies of requests and answers, and a Client that exchanges them.
//
// The types are the API's one definition. The server describes them in its
// OpenAPI document, where the tags doc, enum, minimum and the like come from.
package adminapi

import "encoding/base64"

// EncodeKey returns the form of a key of any bytes that the API takes in paths
// and in members such as key_base64: base64url without padding.
func EncodeKey(key []byte) string { return base64.RawURLEncoding.EncodeToString(key) }
