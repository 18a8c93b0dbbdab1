package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"cairn/adminapi"
	"cairn/live"
)

// watchPulse is how long a watch has nothing to say before it says that it goes on.
const watchPulse = 10 * time.Second

// CommandParams are the query parameters that choose commands.
type CommandParams struct {
	Prefix      string   `query:"prefix" doc:"Only keys that begin with this (a namespace)."`
	KeyEncoding string   `query:"key_encoding" enum:"percent,base64url" default:"percent" doc:"How prefix is written: as it is (percent-encoded like every URL part), or additionally in base64url."`
	Command     []string `query:"command" maxItems:"32" doc:"Only these commands, separated by commas: as clients send them (mg), or by what they do (get)."`
	MinSeconds  float64  `query:"min_seconds" minimum:"0" maximum:"3600" doc:"Only commands that took at least so long."`
}

func (p *CommandParams) filter() (live.Filter, error) {
	prefix, err := decodePrefix(p.Prefix, keyEncoding(p.KeyEncoding))
	if err != nil {
		return live.Filter{}, invalid("query.prefix", err)
	}
	return live.Filter{Prefix: prefix, Verbs: p.Command, Slower: time.Duration(p.MinSeconds * float64(time.Second))}, nil
}

type watchInput struct {
	CommandParams
	PerSecond int     `query:"per_second" minimum:"1" maximum:"10000" default:"1000" doc:"Most commands sent in a second. Further ones are left out, and counted."`
	Seconds   float64 `query:"seconds" minimum:"0" maximum:"86400" doc:"End after so long; 0: when the client goes."`
}

func (s *Server) watch(ctx context.Context, in *watchInput) (*huma.StreamResponse, error) {
	wanted, err := in.filter()
	if err != nil {
		return nil, err
	}
	if s.options.Live == nil {
		return nil, errNoWatching
	}
	note(ctx, "watch commands")
	w, err := s.options.Live.Watch(wanted, in.PerSecond)
	if err != nil {
		return nil, watchingFailed(err)
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		defer w.Close()
		hctx.SetHeader("Content-Type", ndjson)
		hctx.SetStatus(http.StatusOK)
		ctx, cancel := s.whileServing(ctx)
		defer cancel()
		if in.Seconds > 0 {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(in.Seconds*float64(time.Second)))
			defer cancel()
		}
		stream := watchStream{w: w, out: hctx.BodyWriter()}
		_ = stream.run(ctx) // the client is gone
	}}, nil
}

// watchStream sends what is watched as lines of JSON.
type watchStream struct {
	w   *live.Watch
	out interface {
		Write([]byte) (int, error)
	}
}

// run sends lines until ctx ends or the client does not take them. A first line says
// at once that the watch has begun.
func (s *watchStream) run(ctx context.Context) error {
	pulse := time.NewTicker(watchPulse)
	defer pulse.Stop()
	err := s.send(&adminapi.WatchedCommand{At: time.Now().UTC()})
	for err == nil {
		select {
		case <-ctx.Done():
			return nil
		case c := <-s.w.Commands():
			line := watchedCommand(&c)
			err = s.send(&line)
		case at := <-pulse.C:
			err = s.send(&adminapi.WatchedCommand{At: at.UTC()})
		}
	}
	return err
}

func (s *watchStream) send(line *adminapi.WatchedCommand) error {
	line.Skipped = s.w.Skipped()
	data, err := json.Marshal(line)
	if err != nil {
		return err
	}
	if _, err := s.out.Write(append(data, '\n')); err != nil || len(s.w.Commands()) > 0 {
		return err // what follows is sent together
	}
	writer, ok := s.out.(http.ResponseWriter)
	if !ok {
		return nil
	}
	return http.NewResponseController(writer).Flush()
}

func watchedCommand(c *live.Command) adminapi.WatchedCommand {
	line := adminapi.WatchedCommand{
		At: c.At.UTC(), Command: c.Verb, Outcome: c.Outcome, Size: c.Size, Seconds: c.Took.Seconds(),
		Front: c.From.Front, Client: c.From.Client, User: c.From.User,
	}
	line.Key, line.KeyBase64 = keyText(c.Key)
	if c.From.Connection != 0 {
		line.Connection = strconv.FormatUint(c.From.Connection, 10)
	}
	return line
}

type hotKeysInput struct {
	CommandParams
	Seconds float64 `query:"seconds" minimum:"0.001" maximum:"60" default:"5" doc:"How long to count."`
	Limit   int     `query:"limit" minimum:"1" maximum:"1000" default:"20" doc:"Most keys listed."`
}

type hotKeysOutput struct{ Body adminapi.HotKeys }

func (s *Server) hotKeys(ctx context.Context, in *hotKeysInput) (*hotKeysOutput, error) {
	wanted, err := in.filter()
	if err != nil {
		return nil, err
	}
	if s.options.Live == nil {
		return nil, errNoWatching
	}
	note(ctx, "count hot keys")
	counter, err := s.options.Live.Count(wanted)
	if err != nil {
		return nil, watchingFailed(err)
	}
	defer counter.Close()
	ctx, cancel := s.whileServing(ctx)
	defer cancel()
	began := time.Now()
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(in.Seconds * float64(time.Second))):
	}
	top, total := counter.Top(in.Limit)
	list := adminapi.HotKeys{Seconds: time.Since(began).Seconds(), Uses: total, Keys: []adminapi.HotKey{}}
	for i := range top {
		u := &top[i]
		k := adminapi.HotKey{Uses: u.Uses, Error: u.Error, Reads: u.Reads, Writes: u.Writes}
		k.Key, k.KeyBase64 = keyText([]byte(u.Key))
		list.Keys = append(list.Keys, k)
	}
	return &hotKeysOutput{list}, nil
}

var errNoWatching = huma.Error403Forbidden("watching commands is disabled here (--disable-watch)")

func watchingFailed(err error) error {
	if errors.Is(err, live.ErrTooMany) {
		return huma.Error429TooManyRequests("too many are watching already; try again when one has ended")
	}
	return failure(err)
}

// watchResponse describes a stream of commands.
func watchResponse(api huma.API) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: "One command per line.",
		Content:     map[string]*huma.MediaType{ndjson: {Schema: schemaOf[adminapi.WatchedCommand](api)}},
	}}
}
