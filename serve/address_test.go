package serve_test

import (
	"strings"
	"testing"

	"cairn/serve"
)

func TestParseListen(t *testing.T) {
	for list, want := range map[string]string{
		"127.0.0.1":                   "127.0.0.1:11211",
		"::1":                         "[::1]:11211",
		"[::1]":                       "[::1]:11211",
		"[::1]:5":                     "[::1]:5",
		"localhost":                   "localhost:11211",
		"localhost:22":                "localhost:22",
		"*":                           ":11211",
		"":                            ":11211",
		"0.0.0.0:0":                   "0.0.0.0:0",
		"notls:127.0.0.1:1,0.0.0.0:2": "notls:127.0.0.1:1 0.0.0.0:2",
		"127.0.0.1 , notls:[fe80::1]": "127.0.0.1:11211 notls:[fe80::1]:11211",
		"fe80::1%eth0,[fe80::1%lo]:5": "[fe80::1%eth0]:11211 [fe80::1%lo]:5",
	} {
		addresses, err := serve.ParseListen(list, 11211)
		var got []string
		for _, a := range addresses {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != want || err != nil {
			t.Errorf("ParseListen(%q) = %v, %v; want %s", list, got, err, want)
		}
	}
	for _, list := range []string{"host:x", "host:70000", "1:2:3:4x", "host:-1"} {
		if addresses, err := serve.ParseListen(list, 11211); err == nil {
			t.Errorf("ParseListen(%q) = %v", list, addresses)
		}
	}
}
