package memcachedfront_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"cairn/memcachedfront/recorded"
)

// A sequence is what is said on a connection of its own. <x*n> in it stands for n
// times the letter x.
type sequence struct {
	says string

	// newer says that only memcached 1.6.45, whose answers are recorded, is a
	// judge of it: 1.6.18 answers differently.
	newer bool
}

var repeated = regexp.MustCompile(`<x\*(\d+)>`)

// expand returns what is sent.
func (s sequence) expand() string {
	return repeated.ReplaceAllStringFunc(s.says, func(mark string) string {
		n, _ := strconv.Atoi(mark[3 : len(mark)-1])
		return strings.Repeat("x", n)
	})
}

// judge compares Cairn's answers with those that memcached 1.6.45 gave when they
// were recorded under name, and with those of the memcached that is installed.
// Behind each sequence goes suffix.
func judge(t *testing.T, name, suffix string, sequences []sequence) {
	want := recording(t, name, suffix, sequences)
	ours := differentialCairn(t)
	t.Run("recorded", func(t *testing.T) {
		for i, s := range sequences {
			got := comparable(converse(t, ours, s.expand()+suffix))
			if want := comparable(want[i].Answer); got != want {
				t.Errorf("%q\nanswered         %.500q\nmemcached %s %.500q", s.says, got, recorded.Version, want)
			}
		}
	})
	t.Run("live", func(t *testing.T) {
		theirs := startMemcached(t, differentialMemcachedArgs...)
		for _, s := range sequences {
			if !s.newer {
				compareAnswers(t, ours, theirs, s.expand()+suffix)
			}
		}
	})
}

// recording returns what memcached 1.6.45 answered, in the order of the sequences.
// It records that anew if it is told to.
func recording(t *testing.T, name, suffix string, sequences []sequence) []recorded.Exchange {
	t.Helper()
	if recorded.Program() != "" {
		theirs := startMemcached(t, differentialMemcachedArgs...)
		var exchanges []recorded.Exchange
		for _, s := range sequences {
			exchanges = append(exchanges, recorded.Exchange{Request: s.says, Answer: converse(t, theirs, s.expand()+suffix)})
		}
		record(t, name, exchanges)
	}
	exchanges := replay(t, name, len(sequences))
	for i, s := range sequences {
		if exchanges[i].Request != s.says {
			t.Fatalf("the recording %s has %q for %q: record it anew, as testdata/record says", name, exchanges[i].Request, s.says)
		}
	}
	return exchanges
}

func record(t *testing.T, name string, exchanges []recorded.Exchange) {
	t.Helper()
	says, err := exec.Command(recorded.Program(), "--version").Output()
	if err != nil || string(says) != "memcached "+recorded.Version+"\n" {
		t.Fatalf("%s is %q, %v; %s is to be recorded", recorded.Program(), says, err, recorded.Version)
	}
	if err := recorded.Write(recorded.Path(name), exchanges); err != nil {
		t.Fatal(err)
	}
}

func replay(t *testing.T, name string, length int) []recorded.Exchange {
	t.Helper()
	exchanges, err := recorded.Read(recorded.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	if len(exchanges) != length {
		t.Fatalf("the recording %s has %d exchanges, want %d: record it anew, as testdata/record says", name, len(exchanges), length)
	}
	return exchanges
}

// Instants of recorded requests, in Unix seconds: they must be as far away
// whenever the recording is compared with.
const (
	recordedPast   = 1_000_000_000 // 2001
	recordedFuture = 2_145_000_000 // 2037
)

// recordedBatches is how many random batches each recording has, recordedSeed what
// they are made from.
const (
	recordedBatches = 300
	recordedSeed    = 1645
)

// A batch is what goes out together: the name under which its answers are
// recorded, and how to send it and to read the answers.
type batch struct {
	name string
	run  func() (answers []string, err error)
}

// judgeBatches compares answers to batches with the recorded ones. next makes
// the batches, the same at each call of make, to be sent to the server at an
// address.
func judgeBatches(t *testing.T, name string, generator func(address string) (next func() batch)) {
	if recorded.Program() != "" {
		next := generator(startMemcached(t, differentialMemcachedArgs...))
		var exchanges []recorded.Exchange
		for range recordedBatches {
			b := next()
			answers, err := b.run()
			if err != nil {
				t.Fatalf("%s: %v", b.name, err)
			}
			exchanges = append(exchanges, recorded.Exchange{Request: b.name, Answer: strings.Join(answers, "")})
		}
		record(t, name, exchanges)
	}
	next := generator(differentialCairn(t))
	for _, want := range replay(t, name, recordedBatches) {
		b := next()
		if b.name != want.Request {
			t.Fatalf("the recording %s is of other requests: record it anew, as testdata/record says", name)
		}
		answers, err := b.run()
		if got := strings.Join(answers, ""); err != nil || got != want.Answer {
			t.Fatalf("%s, %v:\nanswered         %q\nmemcached %s %q", b.name, err, got, recorded.Version, want.Answer)
		}
	}
}

// digest tells batches apart.
func digest(requests []byte) string {
	sum := sha256.Sum256(requests)
	return hex.EncodeToString(sum[:8])
}

var (
	ttlInReply  = regexp.MustCompile(` t(-?\d+)`)
	casInReply  = regexp.MustCompile(`(?m)^(VALUE \S* \d+ \d+) \d+\r$`)
	deletedOr   = regexp.MustCompile(`(?m)^(DELETED|NOT_FOUND)\r\nMN\r\n$`)
	dumpedField = regexp.MustCompile(` (la|cas|size|exp)=\d+`)
	versionLine = regexp.MustCompile(`VERSION .*`)

	// dataAsCommand is what memcached 1.6.18 says to the data of a storage command
	// that it refused.
	dataAsCommand = regexp.MustCompile(`(CLIENT_ERROR bad command line format\r\n)ERROR\r\n`)
)

// comparable takes out of answers what two servers cannot agree on: versions, and
// the seconds that pass.
func comparable(answers string) string {
	if strings.HasPrefix(answers, "\x81") {
		return withoutCAS([]byte(answers))
	}
	answers = strings.ReplaceAll(answers, "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust", "OK") // this Cairn has no cache
	answers = deletedOr.ReplaceAllString(answers, "")
	answers = casInReply.ReplaceAllString(answers, "$1 cas\r")
	answers = versionLine.ReplaceAllString(answers, "VERSION")
	answers = dumpedField.ReplaceAllString(answers, " $1=n")
	return ttlInReply.ReplaceAllStringFunc(answers, func(field string) string {
		n, _ := strconv.ParseInt(field[2:], 10, 64)
		switch {
		case n > 2592000:
			return " t far"
		case n > 0:
			n = (n + 50) / 100
		}
		return " t about " + strconv.FormatInt(n, 10)
	})
}

// withoutCAS takes each CAS out of binary answers.
func withoutCAS(answers []byte) string {
	for rest := answers; len(rest) >= 24; {
		clear(rest[16:24])
		rest = rest[24+min(len(rest)-24, int(binary.BigEndian.Uint32(rest[8:]))):]
	}
	return string(answers)
}

// comparableToOld does so for memcached 1.6.18, which treats the data of what it
// refuses in another way, and has other words for the faults of md.
func comparableToOld(answers string) string {
	answers = dataAsCommand.ReplaceAllString(answers, "$1")
	answers = strings.ReplaceAll(answers, "invalid or duplicate flag", "bad token in command line format")
	return comparable(answers)
}

// compareAnswers sends the same requests to Cairn and to memcached 1.6.18, on
// connections of their own, and compares what is said.
func compareAnswers(t *testing.T, ours, theirs, says string) {
	t.Helper()
	got, want := comparableToOld(converse(t, ours, says)), comparableToOld(converse(t, theirs, says))
	if got != want {
		t.Errorf("%q\nanswered  %q\nmemcached %q", says, got, want)
	}
}
