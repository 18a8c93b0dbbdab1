package session_test

import (
	"errors"
	"testing"
	"time"

	"cairn/session"
)

// flakyStore answers each command with the next of its errors, nil standing for
// success, and notes the keys that it was asked about.
type flakyStore struct {
	errs  []error
	asked string
}

func (s *flakyStore) Try(*session.Burst) bool { return false }

func (s *flakyStore) Apply(b *session.Burst, to session.Completer) {
	b.SizeResults()
	for i := range b.Commands {
		s.asked += string(b.Commands[i].Key)
		err := s.errs[0]
		s.errs = s.errs[1:]
		if b.Results[i].Status = session.OK; err != nil {
			b.Results[i] = session.Result{Status: session.Failed, Err: err}
		}
	}
	s.asked += " "
	to.Complete([]*session.Burst{b})
}

type stoppedClock struct{}

func (stoppedClock) Now() session.Time { return 7 }

func keys(names string) *session.Burst {
	b := new(session.Burst)
	for i := range names {
		*b.Add() = session.Command{Op: session.OpGet, Key: []byte(names[i : i+1])}
	}
	return b
}

// Only what was unavailable is asked again, in its order, and its results come
// to their places.
func TestDoPatientlyRepeatsWhatFailed(t *testing.T) {
	away, other := session.ErrUnavailable, errors.New("other")
	wrapped := errors.Join(away, other)
	s := &flakyStore{errs: []error{nil, away, other, wrapped, session.ErrUnknownOutcome, away, nil, nil}}
	b := keys("abcde")
	session.DoPatiently(s, b, stoppedClock{}, time.Hour, nil)
	if s.asked != "abcde bd b " {
		t.Errorf("asked for %q", s.asked)
	}
	for i, want := range []error{nil, nil, other, nil, session.ErrUnknownOutcome} {
		if got := b.Results[i].Err; got != want {
			t.Errorf("result %d: %v, want %v", i, got, want)
		}
	}
}

func TestDoPatientlyGivesUp(t *testing.T) {
	away := session.ErrUnavailable
	s := &flakyStore{errs: []error{away, away}}
	b := keys("a")
	session.DoPatiently(s, b, stoppedClock{}, -1, nil) // over at once, or after one round
	if b.Results[0].Err != away {
		t.Errorf("%+v", b.Results[0])
	}
	stop := make(chan struct{})
	close(stop)
	s = &flakyStore{errs: []error{away, away}}
	session.DoPatiently(s, b, stoppedClock{}, time.Hour, stop)
	if b.Results[0].Err != away {
		t.Errorf("%+v", b.Results[0])
	}
}

func TestRetryDelaysGrow(t *testing.T) {
	var r session.Retry
	last := time.Duration(0)
	for range 100 {
		d := r.Delay()
		if d < last || d <= 0 || d > time.Second {
			t.Fatalf("%v after %v", d, last)
		}
		last = d
	}
}
