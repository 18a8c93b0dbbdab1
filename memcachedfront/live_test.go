package memcachedfront_test

import (
	"testing"

	"cairn/live"
	"cairn/memcachedfront"
	"cairn/session"
)

// Operators see what clients ask for in all three protocols, with what became of it.
func TestLiveCommands(t *testing.T) {
	feed := live.New(nil)
	_, address := serverWith(t, func(o *memcachedfront.Options) { o.Live = feed })
	c := dial(t, "tcp", address)
	send(t, c, "set before 0 0 1\r\nx\r\n")
	expect(t, c, "STORED\r\n")
	w, err := feed.Watch(live.Filter{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	send(t, c, "set a 0 0 3\r\nabc\r\nget a b\r\nms a 1 ME\r\nx\r\nmd a q\r\nincr a 1\r\nadd b 0 0 1 noreply\r\nx\r\nincr b 1\r\nnonsense\r\nversion\r\n")
	expect(t, c, "STORED\r\nVALUE a 0 3\r\nabc\r\nEND\r\nNS\r\nNOT_FOUND\r\n")
	type line struct {
		verb, key, outcome string
		size               int
	}
	for _, want := range []line{
		{"set", "a", "stored", 3}, {"get", "a", "hit", 3}, {"get", "b", "miss", 0}, {"ms", "a", "not_stored", 1},
		{"md", "a", "deleted", 0}, {"incr", "a", "not_found", 0}, {"add", "b", "stored", 1}, {"incr", "b", "not_numeric", 0},
		{"invalid", "", "", 0}, {"version", "", "", 0},
	} {
		got := <-w.Commands()
		if (line{got.Verb, string(got.Key), got.Outcome, got.Size}) != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if got.Took <= 0 || got.At.IsZero() || got.From.Front != session.Memcached || got.From.Connection == 0 || got.From.Client != c.LocalAddr().String() {
			t.Errorf("%+v", got)
		}
	}
	binary := dial(t, "tcp", address)
	send(t, binary, "\x80\x09\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00z"+ // getq
		"\x80\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00") // noop
	for _, want := range []line{{"get", "z", "miss", 0}, {"noop", "", "", 0}} {
		if got := <-w.Commands(); (line{got.Verb, string(got.Key), got.Outcome, got.Size}) != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}
