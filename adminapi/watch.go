package adminapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// WatchedCommand is one line of a watch: a command that was carried out. A line
// without a command says that the watch goes on.
type WatchedCommand struct {
	At         time.Time `json:"at" doc:"When it was answered."`
	Command    string    `json:"command,omitempty" doc:"As the client sent it, such as mg; for what came through the HTTP API, what it does, such as set."`
	Key        string    `json:"key,omitempty" doc:"The key as text. What is not UTF-8 in it appears as U+FFFD; then key_base64 has the exact bytes."`
	KeyBase64  string    `json:"key_base64,omitempty" doc:"The key in base64url without padding, if it is not UTF-8."`
	Outcome    string    `json:"outcome,omitempty" doc:"What became of it: hit, miss, stored, touched, deleted, flushed, not_found, not_stored, exists, not_numeric, too_large, failed."`
	Size       int       `json:"size,omitempty" doc:"Bytes of the value that was read, stored or removed."`
	Seconds    float64   `json:"seconds,omitempty" doc:"From the arrival of the request until its answer was handed to the operating system. Requests that a client sends at once share it."`
	Front      string    `json:"front,omitempty" doc:"Where it came from: memcached or http; empty: from the server itself."`
	Connection string    `json:"connection,omitempty" doc:"The id of the connection, as the list of connections has it."`
	Client     string    `json:"client,omitempty" doc:"Its remote address; empty on a unix socket."`
	User       string    `json:"user,omitempty" doc:"Who authenticated."`
	Skipped    uint64    `json:"skipped,omitempty" doc:"How many commands before this line were left out, because there were too many."`
}

// HotKeys are the keys that were used most while they were counted, those first.
type HotKeys struct {
	Seconds float64  `json:"seconds" doc:"How long was counted."`
	Uses    uint64   `json:"uses" doc:"Of all keys."`
	Keys    []HotKey `json:"keys" nullable:"false"`
}

// HotKey says how often a key was used.
type HotKey struct {
	Key       string `json:"key" doc:"The key as text. What is not UTF-8 in it appears as U+FFFD; then key_base64 has the exact bytes."`
	KeyBase64 string `json:"key_base64,omitempty" doc:"The key in base64url without padding, if it is not UTF-8."`
	Uses      uint64 `json:"uses" doc:"At most error too high."`
	Error     uint64 `json:"error" doc:"0: uses is exact."`
	Reads     uint64 `json:"reads" doc:"Of those that are counted exactly."`
	Writes    uint64 `json:"writes" doc:"Of those that are counted exactly."`
}

// CommandFilter chooses commands. Its zero value chooses all.
type CommandFilter struct {
	Prefix   []byte        // of the key
	Commands []string      // such as mg, or get for all that read
	Slower   time.Duration // that took at least so long
}

func (f *CommandFilter) query() url.Values {
	q := url.Values{}
	if len(f.Prefix) > 0 {
		q.Set("prefix", base64.RawURLEncoding.EncodeToString(f.Prefix))
		q.Set("key_encoding", "base64url")
	}
	if len(f.Commands) > 0 {
		q.Set("command", strings.Join(f.Commands, ","))
	}
	if f.Slower > 0 {
		q.Set("min_seconds", seconds(f.Slower))
	}
	return q
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// Watch calls fn with the commands that a filter chooses, as they are carried out, at
// most perSecond a second (from 1 to 10,000), until fn fails, ctx ends, or the server
// stops: the error is nil then.
func (c *Client) Watch(ctx context.Context, f *CommandFilter, perSecond int, fn func(*WatchedCommand) error) error {
	query := f.query()
	query.Set("per_second", strconv.Itoa(perSecond))
	stream, err := c.stream(ctx, "/v1/watch", query)
	if err != nil {
		return err
	}
	defer stream.Close()
	for lines := json.NewDecoder(stream); ; {
		var line WatchedCommand
		if err := lines.Decode(&line); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := fn(&line); err != nil {
			return err
		}
	}
}

// HotKeys counts for so long, at most a minute, and returns at most limit keys, from 1 to
// 1,000.
func (c *Client) HotKeys(ctx context.Context, f *CommandFilter, during time.Duration, limit int) (HotKeys, error) {
	query := f.query()
	query.Set("seconds", seconds(during))
	query.Set("limit", strconv.Itoa(limit))
	return get[HotKeys](ctx, c, "/v1/hot-keys", query)
}
