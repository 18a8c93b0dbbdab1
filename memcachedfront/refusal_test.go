package memcachedfront

import (
	"strings"
	"testing"
)

// refusals are requests with a body that are refused, and the answers.
func refusals() map[string][2]string {
	const size = 5000
	body := strings.Repeat("get a\r\n", size/7) + "ab\r\n"
	body = strings.Repeat("x", size+2-len(body)) + body
	const tooLarge, badFormat = "SERVER_ERROR object too large for cache\r\n", "CLIENT_ERROR bad command line format\r\n"
	return map[string][2]string{
		"set":          {"set a 0 0 5000\r\n" + body, tooLarge},
		"set noreply":  {"set a 0 0 5000 noreply\r\n" + body, ""},
		"append":       {"append a 0 0 5000\r\n" + body, tooLarge},
		"cas":          {"cas a 0 0 5000 1\r\n" + body, tooLarge},
		"flags":        {"set a x 0 5000\r\n" + body, badFormat},
		"exptime":      {"set a 0 x 5000\r\n" + body, badFormat},
		"unique":       {"cas a 0 0 5000 x\r\n" + body, badFormat},
		"key":          {"set " + strings.Repeat("k", 251) + " 0 0 5000\r\n" + body, badFormat},
		"ms":           {"ms a 5000 q Oabc\r\n" + body, tooLarge},
		"ms exptime":   {"ms a 5000 Tx\r\n" + body, "CLIENT_ERROR bad token in command line format\r\n"},
		"ms duplicate": {"ms a 5000 T0 T0\r\n" + body, "CLIENT_ERROR duplicate flag\r\n"},
		"ms mode":      {"ms a 5000 MZ\r\n" + body, "CLIENT_ERROR invalid mode for ms M token\r\n"},
		"binary set": {unhex("80010001080000000000139100000005000000000000000000000000000000007a") + strings.Repeat("z", size),
			unhex("81010000000000030000000a000000050000000000000000") + "Too large."},
		"binary setq": {unhex("80110001080000000000139100000005000000000000000000000000000000007a") + strings.Repeat("z", size),
			unhex("81110000000000030000000a000000050000000000000000") + "Too large."},
		"binary unknown": {unhex("807000000000000000001388000000060000000000000000") + strings.Repeat("z", size),
			unhex("81700000000000810000000f000000060000000000000000") + "Unknown command"},
	}
}

// TestRefusalsFollowTheBody sends requests that are refused byte by byte: there
// is no answer before the last byte, and the next request is understood.
func TestRefusalsFollowTheBody(t *testing.T) {
	for name, c := range refusals() {
		t.Run(name, func(t *testing.T) {
			request, want := c[0], c[1]
			l := newLine(testServer(t, nil))
			for i := range len(request) - 1 {
				l.receive(request[i : i+1])
			}
			if got := l.output.String(); got != "" {
				t.Fatalf("answered %q before the last byte", got)
			}
			l.receive(request[len(request)-1:])
			if got := l.output.String(); got != want {
				t.Errorf("answered %q, want %q", got, want)
			}
			if strings.HasPrefix(name, "binary") {
				return
			}
			l.receive("mn\r\n")
			if got := l.output.String(); got != want+"MN\r\n" {
				t.Errorf("then answered %q", got)
			}
		})
	}
}
