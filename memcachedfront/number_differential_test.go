package memcachedfront_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// numbers are what clients send for a number: at and beyond the edges of 31, 32,
// 63 and 64 bits, and in forms that a parser may see differently. None of them is
// an expiry that comes near while a test runs.
var numbers = []string{
	"0", "1000", "2592000", "2592001", "2147483647", "2147483648", "4294967294", "4294967295", "4294967296", "4294968296",
	"9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "99999999999999999999",
	"-1", "-0", "-1000", "-2147483648", "-2147483649", "-4294966296", "-4294967296",
	"-9223372036854774808", "-9223372036854775808", "-9223372036854775809", "-18446744073709551615", "-18446744073709551616",
	"+1000", "++1", "+-1", "-+1", "0x10", "1.5", "-", "+", "007000", "x", "1000x", "1000\t", "1000\t7", "1000\tx", "\t1000",
	"\v+1000", "00000001000", "000000001000", "00000000000000000001000", "0000000000000000001000",
}

// alike are the numbers that all versions of memcached read alike, as a number of
// whatever kind.
var alike = regexp.MustCompile(`^(\d{1,9}|-[1-9]\d{0,8}|\+\+1|\+-1|-\+1|0x10|1\.5|x|1000x|99999999999999999999|18446744073709551616)$`)

// storageTemplates are requests that need a number where # stands, and read it in
// the same way in all versions.
var storageTemplates = []string{
	"set k 0 # 1\r\n5\r\n",
	"add k 0 # 1\r\n5\r\n",
	"set k 0 0 1\r\n4\r\nreplace k 0 # 1\r\n5\r\n",
	"set k # 0 1\r\n5\r\n",
	"set k 0 0 1\r\n5\r\ncas k 0 # 1 1\r\n6\r\n",
}

// plainTemplates are requests that need a plain number in newer versions.
var plainTemplates = []string{
	"set k 0 0 1\r\n5\r\ncas k 0 0 1 #\r\n6\r\n",
	"set k 0 0 1\r\n5\r\ntouch k #\r\n",
	"set k 0 0 1\r\n5\r\ngat # k\r\n",
	"set k 0 0 1\r\n5\r\ngats # none\r\n",
	"set k 0 0 1\r\n5\r\nincr k #\r\n",
	"set k 0 0 1\r\n5\r\ndecr k #\r\n",
	"set k 0 0 1\r\n5\r\nflush_all #\r\n",
	"ms k 1 T#\r\n5\r\n",
	"ms k 1 F#\r\n5\r\n",
	"ms k 1 C#\r\n5\r\n",
	"ms k 1 E# c\r\n5\r\n",
	"set k 0 0 1\r\n5\r\nmg k T#\r\n",
	"set k 0 0 1\r\n5\r\nmg k R#\r\n",
	"set k 0 0 1\r\n5\r\nmg k C# v\r\n",
	"mg k N#\r\n",
	"set k 0 0 1\r\n5\r\nmd k C#\r\n",
	"set k 0 0 1\r\n5\r\nmd k I T#\r\n",
	"set k 0 0 1\r\n5\r\nma k D# v\r\n",
	"set k 0 0 1\r\n5\r\nma k MD D# v\r\n",
	"set k 0 0 1\r\n5\r\nma k T# v\r\n",
	"ma k N# v\r\n",
	"ma k N0 J# v\r\n",
	"verbosity #\r\nverbosity 0\r\n",
	"cache_memlimit #\r\n",
	"lru_crawler tocrawl #\r\n",
	"slabs automove #\r\n",
	"stats cachedump # 1\r\n",
}

// onlyNewer begins requests that 1.6.18 does not know.
var onlyNewer = []string{"ms k 1 E", "set k 0 0 1\r\n5\r\nmg k C"}

// askWhatIsLeft asks for k. The flush ends one that is still to come.
const askWhatIsLeft = "mg k v f t\r\nflush_all\r\nflush_all\r\ndelete k\r\nmn\r\nquit\r\n"

// TestNumbers sends every number in every place that has one.
func TestNumbers(t *testing.T) {
	var sequences []sequence
	add := func(template string, newer func(number string) bool) {
		for _, number := range numbers {
			if strings.Contains(template, "flush_all") && number == "2592001" {
				continue // a flush in the past does nothing in memcached
			}
			if strings.Contains(template, "E#") && number == "0" {
				continue // the CAS is the server's own then
			}
			sequences = append(sequences, sequence{strings.ReplaceAll(template, "#", number), newer(number)})
		}
	}
	for _, template := range storageTemplates {
		add(template, func(string) bool { return false })
	}
	for _, template := range plainTemplates {
		unknown := slices.ContainsFunc(onlyNewer, func(begins string) bool { return strings.HasPrefix(template, begins) })
		add(template, func(number string) bool { return unknown || !alike.MatchString(number) })
	}
	judge(t, "numbers", askWhatIsLeft, sequences)
}

// TestNumericValues counts with values that may be numbers.
func TestNumericValues(t *testing.T) {
	var sequences []sequence
	for _, value := range append([]string{"", "7\x00", "7\x00\x00", "7\x00x", "7 \x00", "7\x00 ", "\x007"}, numbers...) {
		if value == "18446744073709551615" || value == "9223372036854775808" {
			continue // memcached looks for a minus sign behind the value
		}
		set := fmt.Sprintf("set k 0 0 %d\r\n%s\r\n", len(value), value)
		sequences = append(sequences, sequence{says: set + "incr k 1\r\n"}, sequence{says: set + "ma k D2 v\r\n"})
	}
	judge(t, "values", askWhatIsLeft, sequences)
}

// TestLengths announces data of a length that is a number in a form of its own.
func TestLengths(t *testing.T) {
	var sequences []sequence
	for _, verb := range []string{"set k 0 0 ", "ms k "} {
		for _, length := range []string{"1", "01", "+1", "-1", "-0", "-", "1x", "1\t", "\t1", "4294967297", "2147483646", "00000000001", "000000000001"} {
			sequences = append(sequences, sequence{verb + length + "\r\n5\r\nmn\r\n", true})
		}
	}
	judge(t, "lengths", askWhatIsLeft, sequences)
}

// TestBinaryNumberDifferential sends the exptimes of the binary protocol, and looks
// at what is left with a text request.
func TestBinaryNumberDifferential(t *testing.T) {
	ours, theirs := differentialCairn(t), startMemcached(t, differentialMemcachedArgs...)
	now := uint32(time.Now().Unix())
	for _, n := range []uint32{0, 1000, 2592000, 2592001, now - 1000, now + 1000, 1<<31 - 1, 1 << 31, 1<<32 - 2, 1<<32 - 1} {
		exptime := string(binary.BigEndian.AppendUint32(nil, n))
		for name, packet := range binaryNumber(n) {
			var left [2]string
			for i, address := range []string{ours, theirs} {
				converse(t, address, packet+request(0x07, "", ""))
				left[i] = comparable(converse(t, address, "mg k v t\r\n"+askWhatIsLeft))
			}
			if left[0] != left[1] {
				t.Errorf("%s with %x: left %q, memcached %q", name, exptime, left[0], left[1])
			}
		}
	}
}

// binaryNumber returns requests with an exptime, by their names.
func binaryNumber(exptime uint32) map[string]string {
	return map[string]string{
		"set":   request(0x01, "k", "5", 0, exptime),
		"incr":  request(0x05, "k", "", 0, 1, 0, 5, exptime),
		"touch": request(0x01, "k", "5", 0, 0) + request(0x1c, "k", "", exptime),
		"gat":   request(0x01, "k", "5", 0, 0) + request(0x1d, "k", "", exptime),
	}
}

// TestBinaryNumbers does so with the recorded answers: behind each packet comes a
// connection that asks what it left.
func TestBinaryNumbers(t *testing.T) {
	var sequences []sequence
	for _, n := range []uint32{0, 1000, 2592000, recordedPast, recordedFuture, 1<<31 - 1, 1 << 31, 1<<32 - 2, 1<<32 - 1} {
		packets := binaryNumber(n)
		for _, name := range []string{"set", "incr", "touch", "gat"} {
			sequences = append(sequences, sequence{says: packets[name] + request(0x17, "", "")}, sequence{says: askWhatIsLeft})
		}
	}
	judge(t, "binary-numbers", "", sequences)
}

// TestOddLines sends lines that a parser may see differently.
func TestOddLines(t *testing.T) {
	sequences := []sequence{
		{" get k\r\n", true}, {"   get  k\r\n", true}, {" mg k v\r\n", true}, {" incr k +1\r\n", true}, {" flush_all\r\n", false},
		{"  version\r\n", true}, {" stats reset\r\n", true}, {" verbosity 0\r\n", false}, {" get k noreply\r\n", true},
		{"mn\n", true}, {"mn \n", true}, {"get k\n", false}, {"\r\n", true}, {"\n", true}, {" \r\n", true}, {"  \r\n", true}, {"x\r\n", true},
		{"nothing noreply\r\n", true}, {"nothing\n", false}, {"mz k\r\n", false}, {"mz noreply\r\n", true}, {"get\tk\r\n", false},
		{"\tget k\r\n", false}, {"GET k\r\n", false}, {"flush_all\t0\r\n", false},
		{"incr k 1\tnoreply\r\n", true}, {"incr k 1 noreply\r\n", false}, {"incr k 1 2 noreply\r\n", true}, {"incr k 1 noreply 2\r\n", true},
		{"delete k \t\r\n", true}, {"delete k 0\r\n", false}, {"delete k 5\r\n", true}, {"delete k 5 noreply\r\n", true}, {"delete k noreply 5\r\n", true},
		{"verbosity 0\t\r\n", true}, {"gat +1000 k\r\n", true}, {"gat 0\r\n", true}, {"gat\r\n", true}, {"get\r\n", true}, {"touch k\r\n", true},
		{"incr k\r\n", true}, {"delete\r\n", true}, {"mg\r\n", true}, {"ms k\r\n", true}, {"set k\r\n", true}, {"set k 0 0\r\n", true},
		{"mg k ~\r\n", true}, {"mg k v \x80\r\n", true}, {"me k @\r\n", true}, {"md k {\r\n", true}, {"ma k ~\r\n", true},
		{"mg k 1\r\n", false}, {"mg k T\r\n", false}, {"mg k T-1 Fx\r\n", true}, {"mg k Tx Fx\r\n", true}, {"mg k Fx Tx\r\n", true},
		{"mg k C v\r\n", true}, {"mg k C1 v\r\n", true}, {"ms k 1 E77\r\n6\r\nmg k C77 v f\r\nmg k C77 v s t k O1 q\r\nmg k C78 v c\r\nmg none C77 v\r\n", true},
		{"mg k v k O1 q\r\nmg none v q\r\nmg none v k O2 q\r\nmg none v\r\nmn\r\n", false},
		{"md k q\r\nmd k q\r\nmd k\r\n", false}, {"ma none q\r\nma none\r\nma none N0 q\r\nma none v\r\nmd none\r\n", true},
		{"ms k 1 C1 q\r\n6\r\nms k 1 C1 k\r\n6\r\nms none 1 C1 q\r\n6\r\nms none 1 MR q\r\n6\r\nms none 1 MA q O9\r\n6\r\n", false},
		{"cas k 0 0 1 1 noreply\r\n6\r\ncas none 0 0 1 1\r\n6\r\nadd k 0 0 1\r\n6\r\nreplace none 0 0 1\r\n6\r\nappend none 0 0 1\r\n6\r\nget k\r\n", false},
		{"md k x k\r\nmg k s v\r\nms k 1 s\r\n1\r\nms k 1 MA s\r\n1\r\nms zz 1 MA N0 s\r\n1\r\ndelete zz\r\nms k 1 MSet\r\n1\r\n", true},
		{"mg k v s t f k q u P1 L1 O1 E1 T0 N1 R1 C1 x D1 J1\r\nmn\r\n", true}, {"mg k v s t f k q u P1 L1 O1 E1 T0 N1 R1 C1 x D1 J1 I\r\nmn\r\n", false},
		{"md k v v\r\nmd k Tx\r\nmd k O12345678901234567890123456789012345\r\n", true},
		{"HTTP/1.0\r\nmn\r\n", true}, {"set HTTP/1.0\r\nmn\r\n", true},
		{"shutdown\r\n", true}, {"version 1 2\r\n", false}, {"refresh_certs\r\n", false}, {"stats noreply\r\n", false},
		{"set k 0 0 2\r\n12345\r\nmn\r\n", true}, {"set k 0 0 2\r\n123456\r\nmn\r\n", false}, {"set none 0 0 1048577\r\n<x*1048577>\r\nmn\r\n", false}, {"ms none 1048577 q\r\n<x*1048577>\r\nmn\r\n", false},
		{"set k x 0 3\r\nabc\r\nmn\r\n", true}, {"set k 0 x 3\r\nabc\r\nmn\r\n", true}, {"ms k 3 Tx\r\nabc\r\nmn\r\n", false}, {"ms k 3 MZ\r\nabc\r\nmn\r\n", false},
		{"incr none 1\r\nincr k 5\r\ndecr k 100\r\nset k 0 0 1\r\nx\r\nincr k 1\r\n", false},
	}
	for i := range sequences {
		sequences[i].says = "set k 0 0 1\r\n5\r\n" + sequences[i].says
	}
	judge(t, "lines", askWhatIsLeft, sequences)
}

// TestDumpLines compares the dumps of a store with one item. Each has a connection
// of its own: memcached refuses others.
func TestDumpLines(t *testing.T) {
	var sequences []sequence
	for _, item := range []string{"set k 5 0 3\r\nabc\r\n", "set k%&= 0 1000 0\r\n\r\n", "ms YSBi 2 b F4294967295\r\nhi\r\n"} {
		sequences = append(sequences, sequence{item, true}, sequence{"lru_crawler metadump all\r\n", true},
			sequence{"lru_crawler metadump hash\r\n", true}, sequence{"lru_crawler mgdump all\r\n", true},
			sequence{"lru_crawler mgdump hash\r\n", true}, sequence{"lru_crawler metadump x\r\n", true},
			sequence{"lru_crawler mgdump x\r\n", true}, sequence{"delete k\r\ndelete k%&=\r\nmd YSBi b\r\n", true})
	}
	judge(t, "dumps", "", sequences)
}

// TestBinaryStatKeys asks for statistics by keys that only begin with a group.
func TestBinaryStatKeys(t *testing.T) {
	ours, theirs := differentialCairn(t), startMemcached(t, differentialMemcachedArgs...)
	for _, key := range []string{
		"settings", "settings1", "reset", "reset1", "detail on", "detail once", "detail off", "detail offx", "detail dump",
		"detail dumpx", "detail", "detail x", "item", "itemsx", "slabsx", "sizesx", "setting", "rese", "nothing", " settings",
	} {
		var status [2][]byte
		for i, address := range []string{ours, theirs} {
			status[i] = []byte(converse(t, address, request(0x10, key, "")+request(0x07, "", "")))[6:8]
		}
		if !bytes.Equal(status[0], status[1]) {
			t.Errorf("stat %q: status %x, memcached %x", key, status[0], status[1])
		}
	}
}
