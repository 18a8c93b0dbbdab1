package admincli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"cairn/adminapi"
	"cairn/live"
	"cairn/session"
)

// tellUntil tells commands again and again until stop is closed: a command line
// that begins to watch hears some of them.
func tellUntil(feed *live.Feed, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Millisecond):
			feed.Tell([]live.Command{
				{At: time.Now(), Verb: "mg", Op: session.OpGet, Key: []byte("\xff"), Outcome: "hit", Size: 2048, Took: 60 * time.Millisecond,
					From: live.Origin{Front: "memcached", Connection: 7, Client: "192.0.2.1:5", User: "ann"}},
				{At: time.Now(), Verb: "get", Op: session.OpGet, Key: []byte("quick"), Outcome: "miss", Took: time.Millisecond},
			})
		}
	}
}

func TestWatch(t *testing.T) {
	r := newRig(t)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tellUntil(r.feed, stop)
	}()
	defer func() {
		close(stop)
		<-stopped
	}()
	out := strings.Fields(r.must("watch", "--slower-than", "50ms", "--lines", "1"))
	if want := "mg hit 2 KiB 60ms ann@192.0.2.1:5 base64:_w"; len(out) < 2 || strings.Join(out[1:], " ") != want {
		t.Errorf("%q", out)
	}
	var line adminapi.WatchedCommand
	if err := json.Unmarshal([]byte(r.must("watch", "--command", "get", "--prefix", "quick", "--lines", "1", "-o", "json")), &line); err != nil || line.Key != "quick" || line.Outcome != "miss" {
		t.Errorf("%v, %+v", err, line)
	}
	var hot adminapi.HotKeys
	// On a busy machine nothing may be told in an interval.
	once := func(more ...string) (text string) {
		args := append([]string{"watch", "--hot", "--interval", "50ms", "--rounds", "1", "--command", "mg"}, more...)
		for range 100 {
			if text = r.must(args...); strings.Contains(text, "_w") {
				break
			}
		}
		return text
	}
	text := once("--limit", "1", "-o", "json")
	if err := json.Unmarshal([]byte(text), &hot); err != nil || len(hot.Keys) != 1 || hot.Keys[0].KeyBase64 != "_w" || hot.Keys[0].Reads == 0 || hot.Keys[0].Uses != hot.Uses {
		t.Errorf("%v, %s", err, text)
	}
	if text := once(); !strings.Contains(text, "100.0%") || !strings.Contains(text, "base64:_w") {
		t.Errorf("%s", text)
	}
	for flag, value := range map[string]string{"--rate": "0", "--limit": "1001", "--interval": "2m", "--slower-than": "-1s"} {
		r.refuse(flag+" must be", "watch", flag, value)
	}
}
