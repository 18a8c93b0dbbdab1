package protocol

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"cairn/bench/dialect"
)

var textLimits = Limits{MaxKeyLen: 250, MaxValueSize: 1000}

// brief puts what matters of a request into a line.
func brief(r *Request) string {
	s := fmt.Sprintf("%v key=%q", r.Verb, r.Key)
	add := func(name string, value any, show bool) {
		if show {
			s += fmt.Sprintf(" %s=%v", name, value)
		}
	}
	add("fault", strings.TrimSpace(r.Fault.Line()), r.Verb == Invalid)
	add("keys", string(r.Keys), len(r.Keys) > 0)
	add("value", fmt.Sprintf("%q", r.Value), r.Value != nil)
	add("args", string(r.Args), len(r.Args) > 0)
	add("flags", r.Flags, r.Flags != 0)
	add("exptime", r.Exptime, r.Exptime != 0)
	add("cas", r.CAS, r.CAS != 0)
	add("delta", r.Delta, r.Delta != 0)
	add("quiet", true, r.Quiet)
	add("meta", fmt.Sprintf("%b", r.Meta), r.Meta != 0)
	add("mode", string(r.Mode), r.Mode != 0)
	add("newcas", r.NewCAS, r.NewCAS != 0)
	add("initial", r.Initial, r.Initial != 0)
	add("vivify", r.VivifyExptime, r.VivifyExptime != 0)
	add("recache", r.RecacheExptime, r.RecacheExptime != 0)
	add("base64", true, r.Base64Key)
	add("swallow", r.Swallow, r.Swallow != 0)
	return s
}

const (
	badFormat = `invalid key="" fault=CLIENT_ERROR bad command line format`
	unknown   = `invalid key="" fault=ERROR`
)

func TestParseText(t *testing.T) {
	for input, want := range map[string]string{
		"get a\r\n":                         `get key="a"`,
		"get a\n":                           `get key="a"`,
		"get  a   b c \r\n":                 `get key="a" keys=  b c `,
		"gets a\r\n":                        `gets key="a"`,
		"get a\r\r\n":                       `get key="a\r"`,
		"get\r\n":                           badFormat,
		"get  \r\n":                         badFormat,
		"gat 10 a b\r\n":                    `gat key="a" keys=b exptime=10`,
		"gats -1 a\r\n":                     `gats key="a" exptime=-1`,
		"gat x a\r\n":                       `invalid key="a" fault=CLIENT_ERROR invalid exptime argument`,
		"gat 10\r\n":                        badFormat,
		"gat\r\n":                           badFormat,
		"GET a\r\n":                         unknown + ` args=a`,
		"\r\n":                              `invalid key="" fault=CLIENT_ERROR bad command line format`,
		"\n":                                `invalid key="" fault=CLIENT_ERROR bad command line format`,
		"bget a\r\n":                        unknown + ` args=a`,
		" get a\r\n":                        unknown + ` args=a`,
		" flush_all 5\r\n":                  `flush_all key="" args=5`,
		"bget a noreply\r\n":                unknown + ` args=a noreply quiet=true`,
		" nonsense\r\n":                     unknown,
		"set a 1 2 3\r\nxyz\r\n":            `set key="a" value="xyz" flags=1 exptime=2`,
		"set a 1 2 0\n\r\n":                 `set key="a" value="" flags=1 exptime=2`,
		"set a 0 0 1 noreply\r\nx\r\n":      `set key="a" value="x" quiet=true`,
		"set a 0 0 1 other\r\nx\r\n":        `set key="a" value="x"`,
		"add a 4294967295 -5 1\r\nx\r\n":    `add key="a" value="x" flags=4294967295 exptime=-5`,
		"replace a 0 4294967295 1\r\nx\r\n": `replace key="a" value="x" exptime=-1`,
		"append a 0 0 2\r\n\r\n\r\n":        `append key="a" value="\r\n"`,
		"prepend a 0 0 1\r\nx\r\n":          `prepend key="a" value="x"`,
		"cas a 0 0 1 18446744073709551615\r\nx\r\n":  `cas key="a" value="x" cas=18446744073709551615`,
		"cas a 0 0 1 7 noreply\r\nx\r\n":             `cas key="a" value="x" cas=7 quiet=true`,
		"cas a 0 0 1\r\n":                            `invalid key="a" fault=CLIENT_ERROR bad command line format swallow=3`,
		"cas a 0 0 1 x\r\n":                          `invalid key="a" fault=CLIENT_ERROR bad command line format swallow=3`,
		"cas a 0 0 1 noreply\r\n":                    `invalid key="a" fault=CLIENT_ERROR bad command line format quiet=true swallow=3`,
		"set a x 0 1\r\n":                            `invalid key="a" fault=CLIENT_ERROR bad command line format swallow=3`,
		"set a 18446744073709551616 0 1\r\n":         `invalid key="a" fault=CLIENT_ERROR bad command line format swallow=3`,
		"set a -1 0 1\r\n":                           `invalid key="a" fault=CLIENT_ERROR bad command line format swallow=3`,
		"set a 0 x 1\r\n":                            `invalid key="a" fault=CLIENT_ERROR bad command line format swallow=3`,
		"set a 0 0 -1\r\n":                           `invalid key="a" fault=CLIENT_ERROR bad command line format`,
		"set a 0 0 2147483646\r\n":                   `invalid key="a" fault=CLIENT_ERROR bad command line format`,
		"set a 0 0 2147483645\r\n":                   `invalid key="a" fault=SERVER_ERROR object too large for cache swallow=2147483647`,
		"set a 0 0\r\n":                              `invalid key="a" fault=CLIENT_ERROR bad command line format`,
		"set\r\n":                                    badFormat,
		"set a 0 0 1001\r\n":                         `invalid key="a" fault=SERVER_ERROR object too large for cache swallow=1003`,
		"set a 0 0 1001 noreply\r\n":                 `invalid key="a" fault=SERVER_ERROR object too large for cache quiet=true swallow=1003`,
		"set a 0 0 3\r\nabcd\r\n":                    `invalid key="a" fault=CLIENT_ERROR bad data chunk value="abc"`,
		"set a 0 0 3 noreply\r\nabc\n\n":             `invalid key="a" fault=CLIENT_ERROR bad data chunk value="abc" quiet=true`,
		"delete a\r\n":                               `delete key="a"`,
		"delete a 0\r\n":                             `delete key="a"`,
		"delete a 0 noreply\r\n":                     `delete key="a" quiet=true`,
		"delete a noreply\r\n":                       `delete key="a" quiet=true`,
		"delete a 5\r\n":                             `delete key="a"`,
		"delete\r\n":                                 badFormat,
		"touch a 5\r\n":                              `touch key="a" exptime=5`,
		"touch a 5 noreply\r\n":                      `touch key="a" exptime=5 quiet=true`,
		"touch a x\r\n":                              `invalid key="a" fault=CLIENT_ERROR invalid exptime argument`,
		"touch a\r\n":                                `invalid key="a" fault=CLIENT_ERROR bad command line format`,
		"incr a 18446744073709551615\r\n":            `incr key="a" delta=18446744073709551615`,
		"decr a 1 noreply\r\n":                       `decr key="a" delta=1 quiet=true`,
		"decr a +1\r\n":                              `invalid key="a" fault=CLIENT_ERROR invalid numeric delta argument`,
		"incr a -1\r\n":                              `invalid key="a" fault=CLIENT_ERROR invalid numeric delta argument`,
		"incr a 18446744073709551616\r\n":            `invalid key="a" fault=CLIENT_ERROR invalid numeric delta argument`,
		"incr a\r\n":                                 `invalid key="a" fault=CLIENT_ERROR bad command line format`,
		"flush_all\r\n":                              `flush_all key=""`,
		"flush_all 5 noreply\r\n":                    `flush_all key="" args=5 noreply quiet=true`,
		"stats settings\r\n":                         `stats key="" args=settings`,
		"version\r\n":                                `version key=""`,
		"verbosity 1\r\n":                            `verbosity key="" args=1`,
		"lru_crawler metadump all\r\n":               `lru_crawler key="" args=metadump all`,
		"watch fetchers mutations\r\n":               `watch key="" args=fetchers mutations`,
		"config get cluster\r\n":                     `config key="" args=get cluster`,
		"mn\r\n":                                     `mn key=""`,
		"mg a\r\n":                                   `mg key="a" delta=1`,
		"mg a v q k Oabc u\r\n":                      `mg key="a" args=v q k Oabc u delta=1 quiet=true meta=110000000`,
		"mg a T30 N40 R50\r\n":                       `mg key="a" args=T30 N40 R50 exptime=30 delta=1 meta=111 vivify=40 recache=50`,
		"mg a N40 T30\r\n":                           `mg key="a" args=N40 T30 exptime=30 delta=1 meta=11 vivify=30`,
		"mg YWI= b\r\n":                              `mg key="ab" args=b delta=1 base64=true`,
		"mg Y!== b\r\n":                              `invalid key="Y!==" fault=CLIENT_ERROR error decoding key args=b delta=1 base64=true`,
		"mg a v v\r\n":                               `invalid key="a" fault=CLIENT_ERROR duplicate flag args=v v delta=1 meta=10000000`,
		"mg a Z\r\n":                                 `invalid key="a" fault=CLIENT_ERROR invalid flag args=Z delta=1`,
		"mg a Tx q\r\n":                              `invalid key="a" fault=CLIENT_ERROR bad token in command line format args=Tx q delta=1 meta=1`,
		"mg\r\n":                                     badFormat,
		"mg a O" + strings.Repeat("x", 31) + "\r\n":  `mg key="a" args=O` + strings.Repeat("x", 31) + ` delta=1`,
		"mg a O" + strings.Repeat("x", 32) + "\r\n":  `invalid key="a" fault=CLIENT_ERROR opaque token too long args=O` + strings.Repeat("x", 32) + ` delta=1 meta=10000000000`,
		"ms a 2\r\nhi\r\n":                           `ms key="a" value="hi" delta=1`,
		"ms a 2 T9 F5 C6 E7 I MA N8 s c\r\nhi\r\n":   `ms key="a" value="hi" args=T9 F5 C6 E7 I MA N8 s c flags=5 exptime=9 cas=6 delta=1 meta=1000111011 mode=A newcas=7 vivify=8`,
		"ms a 2 MX\r\n":                              `invalid key="a" fault=CLIENT_ERROR invalid mode for ms M token args=MX delta=1 mode=X swallow=4`,
		"ms a 2 S2\r\n":                              `invalid key="a" fault=CLIENT_ERROR invalid flag args=S2 delta=1 swallow=4`,
		"ms a 2 q Fx\r\n":                            `invalid key="a" fault=CLIENT_ERROR bad command line format args=q Fx delta=1 swallow=4`,
		"ms a 3 q\r\nabcd\r\n":                       `invalid key="a" fault=CLIENT_ERROR bad data chunk value="abc" args=q delta=1`,
		"ms a x\r\n":                                 `invalid key="a" fault=CLIENT_ERROR bad command line format`,
		"ms a\r\n":                                   `invalid key="a" fault=CLIENT_ERROR bad command line format`,
		"ms a 1001\r\n":                              `invalid key="a" fault=SERVER_ERROR object too large for cache delta=1 swallow=1003`,
		"md a I x q T5 C3 E4\r\n":                    `md key="a" args=I x q T5 C3 E4 exptime=5 cas=3 delta=1 quiet=true meta=1111001 newcas=4`,
		"ma a D5 J6 MD N7 T8\r\n":                    `ma key="a" args=D5 J6 MD N7 T8 exptime=8 delta=5 meta=11 mode=D initial=6 vivify=8`,
		"ma a MZ\r\n":                                `invalid key="a" fault=CLIENT_ERROR invalid mode for ma M token args=MZ delta=1 mode=Z`,
		"ma a Dx\r\n":                                `invalid key="a" fault=CLIENT_ERROR invalid or duplicate flag args=Dx`,
		"me a\r\n":                                   `me key="a" delta=1`,
		"mz a\r\n":                                   unknown + ` args=a`,
		"get " + strings.Repeat("k", 250) + "\r\n":   `get key="` + strings.Repeat("k", 250) + `"`,
		"get a " + strings.Repeat("k", 251) + "\r\n": `invalid key="a" fault=CLIENT_ERROR bad command line format keys=` + strings.Repeat("k", 251),
		"set " + strings.Repeat("k", 251) + " 0 0 1 noreply\r\n": `invalid key="` + strings.Repeat("k", 251) + `" fault=CLIENT_ERROR bad command line format quiet=true swallow=3`,
	} {
		var r Request
		n, err := ParseText([]byte(input), &textLimits, &r)
		if err != nil {
			t.Errorf("%q: %v", input, err)
			continue
		}
		if got := brief(&r); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", input, got, want)
		}
		if wantN := bytes.IndexByte([]byte(input), '\n') + 1; r.Value == nil && n != wantN {
			t.Errorf("%q: consumed %d bytes, want %d", input, n, wantN)
		}
	}
}

// A request that has not arrived in full is asked for again, with the length
// it needs as soon as that is known.
func TestParseTextIncomplete(t *testing.T) {
	for input, need := range map[string]int{
		"":                                     0,
		"g":                                    0,
		"get a\r":                              0,
		"set a 0 0 5\r\n":                      20,
		"set a 0 0 5\r\nhello":                 20,
		"set a 0 0 5\r\nhello\r":               20,
		"ms YWI= 2 b\r\nhi\r":                  17,
		strings.Repeat("x", 2048):              0,
		"get " + strings.Repeat("k ", 100_000): 0,
	} {
		buf := []byte(input)
		var r Request
		n, err := ParseText(buf, &textLimits, &r)
		if n != 0 || err != ErrIncomplete || r.Need != need {
			t.Errorf("%.40q: %d, %v, need %d; want incomplete, need %d", input, n, err, r.Need, need)
		}
		if string(buf) != input {
			t.Errorf("%.40q was changed to %.40q", input, buf)
		}
	}
}

func TestParseTextHopeless(t *testing.T) {
	for _, input := range []string{
		strings.Repeat("x", 2049),
		"set " + strings.Repeat("k", 2100),
		"get " + strings.Repeat("k ", MaxRetrievalLine/2),
		"GET / HTTP/1.1\r\nHost: localhost\r\n",
		"POST /flush HTTP/1.0\r\n",
	} {
		var r Request
		if n, err := ParseText([]byte(input), &textLimits, &r); n != 0 || err != ErrHopeless {
			t.Errorf("%.40q: %d, %v; want hopeless", input, n, err)
		}
	}
}

func TestNextKey(t *testing.T) {
	var got []string
	for key, rest := NextKey([]byte("  a b   c ")); key != nil; key, rest = NextKey(rest) {
		got = append(got, string(key))
	}
	if fmt.Sprint(got) != "[a b c]" {
		t.Errorf("got %v", got)
	}
}

// FuzzParseText checks that no input panics, that what is consumed is there,
// and that a request does not depend on what comes behind it.
func FuzzParseText(f *testing.F) {
	for _, seed := range []string{
		"get a b\r\n", "gat 5 a\r\n", "set a 1 2 3\r\nxyz\r\n", "cas a 1 2 3 4 noreply\r\nxyz\r\n", "incr a 5\r\n", "delete a 0 noreply\r\n",
		"ms YWI= 2 b T5 MA\r\nhi\r\n", "mg a v T30 N40 R50 Oabc k q\r\n", "ma a D5 J6 MD\r\n", "md a x I\r\n", "stats items\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		var r, again Request
		n, err := ParseText(bytes.Clone(input), &textLimits, &r)
		if n < 0 || n > len(input) || (n == 0) != (err != nil) || r.Swallow < 0 || r.Swallow > 0 && r.Verb != Invalid {
			t.Fatalf("%d of %d bytes, %v, %s", n, len(input), err, brief(&r))
		}
		if err != nil {
			return
		}
		m, err := ParseText(append(bytes.Clone(input[:n]), "behind it"...), &textLimits, &again)
		if m != n || err != nil || brief(&again) != brief(&r) {
			t.Fatalf("alone: %d, %v, %s\nwith something behind: %d, %s", n, err, brief(&r), m, brief(&again))
		}
	})
}

// FuzzTextRoundTrip checks that what the client encodes is what the server
// reads.
func FuzzTextRoundTrip(f *testing.F) {
	f.Add([]byte("key"), []byte("value"), uint32(7), int64(60))
	f.Add([]byte("k"), []byte{}, uint32(0), int64(-1))
	f.Fuzz(func(t *testing.T, key, value []byte, flags uint32, exptime int64) {
		if !IsTextKey(key) || len(key) > textLimits.MaxKeyLen || len(value) > textLimits.MaxValueSize || exptime == math.MinInt64 {
			return
		}
		requests := map[Verb][]byte{
			Get:        dialect.Text{}.AppendGet(nil, key),
			Set:        dialect.Text{}.AppendStore(nil, dialect.Set, key, value, flags, exptime),
			Add:        dialect.Text{}.AppendStore(nil, dialect.Add, key, value, flags, exptime),
			Touch:      dialect.Text{}.AppendTouch(nil, key, exptime),
			Delete:     dialect.Text{}.AppendDelete(nil, key),
			MetaGet:    dialect.Meta{}.AppendGet(nil, key),
			MetaSet:    dialect.Meta{}.AppendStore(nil, dialect.Set, key, value, flags, exptime),
			MetaDelete: dialect.Meta{}.AppendDelete(nil, key),
		}
		for verb, request := range requests {
			var r Request
			n, err := ParseText(request, &textLimits, &r)
			if n != len(request) || err != nil || r.Verb != verb || !bytes.Equal(r.Key, key) {
				t.Fatalf("%q: %d, %v, %s", request, n, err, brief(&r))
			}
			if (verb == Set || verb == Add || verb == MetaSet) && (!bytes.Equal(r.Value, value) || r.Flags != flags || r.Exptime != exptime) {
				t.Fatalf("%q: %s", request, brief(&r))
			}
		}
	})
}
