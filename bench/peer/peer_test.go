package peer_test

import (
	"reflect"
	"testing"

	"cairn/bench/peer"
)

func TestParseSpec(t *testing.T) {
	for _, test := range []struct {
		text string
		want peer.Spec
	}{
		{"memcached", peer.Spec{Name: "memcached", Base: "memcached"}},
		{"cairn --compression=off", peer.Spec{Name: "cairn", Base: "cairn", Args: []string{"--compression=off"}}},
		{"old=cairn @/opt/cairn --a=b -c 5", peer.Spec{Name: "old", Base: "cairn", Path: "/opt/cairn", Args: []string{"--a=b", "-c", "5"}}},
	} {
		got, err := peer.ParseSpec(test.text)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q: %+v, %v; want %+v", test.text, got, err, test.want)
		}
	}
	for _, text := range []string{"", "x=", "dragonfly", "x=dragonfly"} {
		if got, err := peer.ParseSpec(text); err == nil {
			t.Errorf("%q: %+v, want an error", text, got)
		}
	}
}
