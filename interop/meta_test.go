package interop

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// No package of Debian or npm, and no Go module, has a client for the meta
// commands. These are the requests that Dalli 3.2 to 5, the client of Rails,
// sends, and the replies it understands.
func TestDalliMetaRequests(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	say := func(requests, want string) {
		t.Helper()
		if got := cas.ReplaceAllString(srv.text(requests), " c#"); got != want {
			t.Errorf("%q\nis answered %q\n       want %q", requests, got, want)
		}
	}
	key := base64.StdEncoding.EncodeToString([]byte("sitzung-ä 1"))
	stored := func(mode string) string { return fmt.Sprintf("ms s 5 c F4 T3600 M%s\r\nhello\r\n", mode) }

	say(stored("S"), "HD c#\r\n")
	say("mg s v f\r\n", "VA 5 f4\r\nhello\r\n")
	say("mg absent v f\r\n", "EN\r\n")
	say("mg s v f c\r\n", "VA 5 f4 c#\r\nhello\r\n")
	say("mg s T7200\r\n", "HD\r\n")
	say("mg s v f T7200\r\n", "VA 5 f4\r\nhello\r\n")
	say("mg absent T7200\r\n", "EN\r\n")
	say(stored("E"), "NS c#\r\n")
	say(stored("R"), "HD c#\r\n")
	say("ms absent 5 c F4 T3600 MR\r\nhello\r\n", "NS c#\r\n")
	say("ms s 1 MA\r\n!\r\nms s 1 MP\r\n?\r\nmg s v f\r\n", "HD\r\nHD\r\nVA 7 f4\r\n?hello!\r\n")
	say("ms s 5 c F4 C1 T3600 MS\r\nhello\r\n", "EX c#\r\n")
	say("ms absent 5 c F4 C1 T3600 MS\r\nhello\r\n", "NF c#\r\n")
	say("md s C1\r\nmd absent\r\n", "EX\r\nNF\r\n")

	// get_multi and set_multi: quiet requests up to a no-op.
	say("ms a 1 c F0 T60 MS q\r\n1\r\nms b 1 c F0 T60 MS q\r\n2\r\nmn\r\n", "MN\r\n")
	say("mg a v f k q s\r\nmg absent v f k q s\r\nmg b v f k q s\r\nmn\r\n",
		"VA 1 f0 ka s1\r\n1\r\nVA 1 f0 kb s1\r\n2\r\nMN\r\n")
	say("md a q\r\nmd absent q\r\nmn\r\n", "NF\r\nMN\r\n")

	// Keys that are not ASCII travel as base64.
	say("ms "+key+" 2 c b F0 T3600 MS\r\nhi\r\n", "HD c#\r\n")
	say("mg "+key+" v f b k\r\n", "VA 2 f0 k"+key+" b\r\nhi\r\n")

	// Counters.
	say("ma n v D1 J10 N60 MI\r\nma n v D2 J10 N60 MI\r\nma n v D5 MD\r\n", "VA 2\r\n10\r\nVA 2\r\n12\r\nVA 1\r\n7\r\n")
	say("ma absent v D1 MI\r\n", "NF\r\n")

	// Stale while one client recaches.
	say("ms w 1 c F0 T3600 MS\r\n1\r\nmd w I\r\n", "HD c#\r\nHD\r\n")
	say("mg w v f c R30\r\nmg w v f c R30\r\n", "VA 1 f0 c# X W\r\n1\r\nVA 1 f0 c# Z X\r\n1\r\n")

	srv.restart()
	if *peer != "" {
		return
	}
	say("mg s v f\r\nmg b v f\r\n", "VA 7 f4\r\n?hello!\r\nVA 1 f0\r\n2\r\n")
	say("mg "+key+" v f b\r\n", "VA 2 f0\r\nhi\r\n")
	say("mg w v f c\r\n", "VA 1 f0 c# Z X\r\n1\r\n")
	say("ms brief 1 c F0 T1 MS\r\n1\r\n", "HD c#\r\n")
	time.Sleep(2 * time.Second)
	say("mg brief v f\r\n", "EN\r\n")
	if version := srv.text("version\r\n"); !strings.HasPrefix(version, "VERSION 1.6.") {
		t.Errorf("Dalli asks for 1.6 or later; the server calls itself %q", version)
	}
}

// cas is the flag whose number differs from run to run.
var cas = regexp.MustCompile(` c[0-9]+`)
