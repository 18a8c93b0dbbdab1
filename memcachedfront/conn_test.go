package memcachedfront

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"cairn/serve"
	"cairn/session"
	"cairn/session/sessiontest"
)

// fixedClock stands still.
type fixedClock struct{}

func (fixedClock) Now() session.Time { return session.FromUnix(1_800_000_000) }

// testServer serves a fresh model without sockets.
func testServer(t testing.TB, change func(*Options)) *Server {
	t.Helper()
	o := Options{MaxItemSize: 1000}
	o.Store, o.Clock = sessiontest.NewModel(1000), fixedClock{}
	if change != nil {
		change(&o)
	}
	s, err := newServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Server = new(serve.Server)
	return s
}

// line feeds a conn with input as it arrives, and keeps what it answers.
type line struct {
	conn   *conn
	server *Server
	input  []byte
	need   int
	output strings.Builder
	closed bool
}

func newLine(s *Server) *line { return &line{conn: newConn(s, new(serve.Link)), server: s} }

// receive is what a loop does when input arrives. It hands the conn copies
// that it spoils afterwards, to catch a conn that holds on to input.
func (l *line) receive(piece string) {
	l.input = append(l.input, piece...)
	for !l.closed && len(l.input) >= max(l.need, 1) {
		in := append([]byte(nil), l.input...)
		var b session.Burst
		b.Reset(l.server.options.Clock.Now())
		n, need := l.conn.Consume(in, &b)
		l.need = need
		if n == 0 && !l.conn.closing {
			return
		}
		session.Do(l.server.options.Store, &b)
		for done := false; !done; {
			var out serve.Output
			done = l.conn.Reply(&out, &b)
			l.output.Write(out.Bytes())
		}
		b.Reset(0)
		for i := range in {
			in[i] = 'X'
		}
		if errand := l.conn.Errand(); errand != nil {
			ended, end := context.WithCancel(context.Background())
			end() // nobody watches for ever
			if err := errand(ended, l); err != nil {
				l.closed = true
			}
		}
		l.closed = l.closed || l.conn.closing
		l.input = l.input[n:]
	}
}

func (l *line) Write(p []byte) (int, error) { return l.output.Write(p) }
func (l *line) Gone() bool                  { return false }

// textTranscript has every verb and many mistakes. Its last request closes the
// connection.
var textTranscript = strings.Join([]string{
	"set a 5 0 3\r\nabc\r\n", "set b 1 100 0\r\n\r\n", "get a b c\r\n", "gets a\r\n", "gat 50 a b\n", "gats 0 a\r\n",
	"add a 0 0 1\r\nx\r\n", "add c 0 0 2\r\n\r\n\r\n", "replace c 7 0 4\nget \r\n", "append c 0 0 1\r\n!\r\n", "prepend c 0 0 1 noreply\r\n?\r\n",
	"get c\r\n", "cas c 0 0 1 1\r\nx\r\n", "cas nope 0 0 1 1 noreply\r\nx\r\n", "incr a 1\r\n", "set n 0 0 2\r\n10\r\n", "decr n 1\r\n", "get n\r\n",
	"incr n 5 noreply\r\n", "touch n 60\r\n", "delete n\r\n", "delete n noreply\r\n", "verbosity 1\r\n", "version\r\n",
	"ms k 2 c T60 F3 Oabc k\r\nhi\r\n", "mg k v t f s c k q\r\n", "mg nope v\r\n", "mg nope v q\r\n", "mn\r\n", "md k I T30 q\r\n", "mg k v\r\n", "mg k v\r\n",
	"ms YSBi 3 b T0\r\nxyz\r\n", "mg YSBi b k v\r\n", "ma cnt N0 J7 v\r\n", "ma cnt D3 v t\r\n", "md cnt x\r\n", "me YSBi b\r\n",
	"set big 0 0 1001\r\n" + strings.Repeat("z", 1001) + "\r\n", "ms big 1001 T0\r\n" + strings.Repeat("get a\r\n", 143) + "\r\n",
	"set bad 0 0 3\r\nabcdefg\r\n", "set bad x 0 3\r\nabc\r\n", "set " + strings.Repeat("k", 251) + " 0 0 1\r\nx\r\n", "\r\n", "nonsense\r\n",
	"get " + strings.Repeat("a ", 100) + "\r\n", "stats detail dump\r\n", "lru_crawler metadump all\r\n", "flush_all\r\n", "get a\r\n", "quit\r\n",
}, "")

// binaryTranscript has set, get, getkq that misses, incr with an initial value,
// a value that is too large, an unknown opcode, noop, and quit.
var binaryTranscript = unhex(
	"80010001080000000000000c00000001000000000000000000000005000000006176616c",
	"800000010000000000000001000000020000000000000000"+"61",
	"800d00010000000000000001000000030000000000000000"+"62",
	"8005000114000000000000150000000400000000000000000000000000000005000000000000000a000000006e",
	"8001000108000000000003f200000005000000000000000000000000000000007a"+strings.Repeat("7a", 1001),
	"80700001000000000000000400000006000000000000000061626364",
	"800a00000000000000000000000000070000000000000000",
	"800700000000000000000000000000080000000000000000",
)

func unhex(parts ...string) string {
	raw, err := hex.DecodeString(strings.Join(parts, ""))
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func answersTo(t *testing.T, pieces ...string) string {
	l := newLine(testServer(t, nil))
	for _, piece := range pieces {
		l.receive(piece)
	}
	if !l.closed {
		t.Fatalf("not closed; answers so far %q", l.output.String())
	}
	return l.output.String()
}

func transcripts() map[string]string {
	return map[string]string{"text": textTranscript, "binary": binaryTranscript}
}

// Input may arrive in any pieces: the answers are the same.
func TestTornInput(t *testing.T) {
	for name, transcript := range transcripts() {
		t.Run(name, func(t *testing.T) {
			whole := answersTo(t, transcript)
			for i := range transcript {
				if got := answersTo(t, transcript[:i], transcript[i:]); got != whole {
					t.Fatalf("torn at %d, behind %.40q:\n%q\nin one piece:\n%q", i, transcript[max(i-40, 0):i], got, whole)
				}
			}
			if got := answersTo(t, strings.Split(transcript, "")...); got != whole {
				t.Fatalf("byte by byte:\n%q\nin one piece:\n%q", got, whole)
			}
		})
	}
}

func TestTornInputAtRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for name, transcript := range transcripts() {
		whole := answersTo(t, transcript)
		for range 300 {
			var pieces []string
			for rest := transcript; len(rest) > 0; {
				n := min(1+rng.IntN(200), len(rest))
				pieces = append(pieces, rest[:n])
				rest = rest[n:]
			}
			if got := answersTo(t, pieces...); got != whole {
				t.Fatalf("%s: %q\nin one piece:\n%q", name, got, whole)
			}
		}
	}
}

// The answers themselves, so that a change of any of them is seen.
func TestTextTranscript(t *testing.T) {
	got := answersTo(t, textTranscript)
	for _, want := range []string{
		"VALUE a 5 3\r\nabc\r\nVALUE b 1 0\r\n\r\nEND\r\n",
		"VALUE c 7 6\r\n?get !\r\nEND\r\n",
		"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
		"VALUE n 0 2\r\n9 \r\nEND\r\n",
		"HD c10 Oabc kk\r\nVA 2 t60 f3 s2 c10 kk\r\nhi\r\nEN\r\nMN\r\nVA 2 X W\r\nhi\r\nVA 2 Z X\r\nhi\r\n",
		"HD\r\nVA 3 kYSBi b\r\nxyz\r\nVA 1\r\n7\r\nVA 2 t-1\r\n10\r\nHD\r\nME YSBi exp=-1 ",
		"SERVER_ERROR object too large for cache\r\nSERVER_ERROR object too large for cache\r\n",
		"CLIENT_ERROR bad data chunk\r\nERROR\r\nCLIENT_ERROR bad command line format\r\nCLIENT_ERROR bad command line format\r\nCLIENT_ERROR bad command line format\r\nERROR\r\nVALUE a",
		"OK\r\nEND\r\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%q", want, got)
		}
	}
}

// A retrieval of more keys than a burst takes is answered as one.
func TestRetrievalLargerThanABurst(t *testing.T) {
	s := testServer(t, nil)
	l := newLine(s)
	keys, want := "", ""
	for i := range 5000 {
		l.receive(fmt.Sprintf("set key%d 0 0 1 noreply\r\nx\r\n", i))
		keys += fmt.Sprintf(" key%d nokey%d", i, i)
		want += fmt.Sprintf("VALUE key%d 0 1\r\nx\r\n", i)
	}
	for _, end := range []string{"\r\n", "\n", " \r\n"} {
		l.output.Reset()
		l.receive("get" + keys + end + "get key0" + end)
		if got := l.output.String(); got != want+"END\r\nVALUE key0 0 1\r\nx\r\nEND\r\n" {
			t.Errorf("with the end %q: %d bytes, want %d: ...%.100q", end, len(got), len(want), got[max(len(got)-100, 0):])
		}
	}
}

// A connection that is sent large values gets few commands into a burst, so
// that the server holds few of them at a time.
func TestBurstsShrinkWithLargeAnswers(t *testing.T) {
	s := testServer(t, func(o *Options) {
		o.Store, o.MaxItemSize = sessiontest.NewModel(1<<20), 1<<20
	})
	l := newLine(s)
	l.receive("set big 0 0 1000000\r\n" + strings.Repeat("x", 1_000_000) + "\r\n")
	for range 10 {
		l.receive("get big big big big big big big big big big\r\n")
	}
	if l.conn.limit > 4 {
		t.Errorf("after large answers the limit is %d, want at most 4", l.conn.limit)
	}
	for range 20 {
		l.receive("get small\r\n")
	}
	if l.conn.limit != maxBurstCommands {
		t.Errorf("after small answers the limit is %d, want %d", l.conn.limit, maxBurstCommands)
	}
}

// Lines without an end are refused early, except retrievals, which are bounded.
func TestEndlessLines(t *testing.T) {
	for _, test := range []struct {
		line string
		max  int
	}{
		{"set " + strings.Repeat("k", 3<<20), 2049},
		{strings.Repeat("x", 3<<20), 2049},
		{"mg " + strings.Repeat("k", 3<<20), 2049},
		{"get " + strings.Repeat("key ", 1<<20), 1<<20 + 1},
	} {
		l := newLine(testServer(t, nil))
		for i := 0; i < len(test.line) && !l.closed; i += 1000 {
			l.receive(test.line[i:min(i+1000, len(test.line))])
		}
		if !l.closed || len(l.input) > test.max+1000 {
			t.Errorf("%.10q...: closed %v with %d bytes of input, want at most %d", test.line, l.closed, len(l.input), test.max)
		}
	}
}

// The hot paths of a connection allocate nothing.
func TestHotPathsDoNotAllocate(t *testing.T) {
	for name, request := range map[string]string{
		"get":  "get key\r\n",
		"set":  "set key 0 100 3\r\nabc\r\n",
		"mg":   "mg key v t f c k Oabc\r\n",
		"ms":   "ms key 3 T100\r\nabc\r\n",
		"miss": "get nothing\r\n",
		"getq": unhex("800900030000000000000003000000000000000000000000", "6b6579"),
		"getk": unhex("800c00030000000000000003000000000000000000000000", "6b6579"),
		"setq": unhex("80110003080000000000000e000000000000000000000000", "0000000000000000", "6b6579", "616263"),
	} {
		c := newConn(testServer(t, nil), new(serve.Link))
		in, out := []byte(request), serve.Output{Text: make([]byte, 0, 1000)}
		var b session.Burst
		results := []session.Result{{Status: session.OK, Item: session.Item{Key: []byte("key"), Value: []byte("abc"), Expiry: session.Never}}}
		if allocs := testing.AllocsPerRun(100, func() {
			b.Reset(1)
			if n, _ := c.Consume(in, &b); n != len(in) {
				t.Fatalf("%s: consumed %d of %d bytes", name, n, len(in))
			}
			b.Results = append(b.Results[:0], results...)
			out.Reset()
			c.Reply(&out, &b)
		}); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

// cpuTime is what two connections may be told differently.
var cpuTime = regexp.MustCompile(`rusage_\w+?[ \d.]+`)

func FuzzConn(f *testing.F) {
	f.Add([]byte(textTranscript), uint16(100))
	f.Add([]byte(binaryTranscript), uint16(30))
	f.Add([]byte("ms YQ== 2 b\r\nhi\r\nmg YQ== b v k\r\n"), uint16(3))
	f.Fuzz(func(t *testing.T, input []byte, cut uint16) {
		whole := newLine(testServer(t, nil))
		whole.receive(string(input))
		torn := newLine(testServer(t, nil))
		at := min(int(cut), len(input))
		torn.receive(string(input[:at]))
		torn.receive(string(input[at:]))
		got, want := cpuTime.ReplaceAllString(torn.output.String(), ""), cpuTime.ReplaceAllString(whole.output.String(), "")
		if got != want || torn.closed != whole.closed {
			t.Fatalf("torn at %d: %q (closed %v)\nin one piece: %q (closed %v)", at, got, torn.closed, want, whole.closed)
		}
	})
}
