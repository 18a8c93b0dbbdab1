package policy

import (
	"fmt"
	"time"

	"cairn/session"
)

// Fence says who is kept from storing a session again that was removed since they
// saw it.
type Fence uint8

const (
	// FenceOff is nobody.
	FenceOff Fence = iota

	// FenceConnection is a connection: for clients that read and store a session
	// on the same one.
	FenceConnection

	// FencePeer is all connections from one address together: for clients with
	// pools of them.
	FencePeer
)

var fenceNames = [...]string{FenceOff: "off", FenceConnection: "connection", FencePeer: "peer"}

func (f Fence) String() string { return fenceNames[f] }

// fenceFor is how long a fence lasts unless its rule says otherwise: longer than
// requests take.
const fenceFor = time.Minute

// The answers to a write that a fence kept out.
const (
	answerStored    = "stored"
	answerNotStored = "not_stored"
)

// What a miss does to the fence of a peer.
const (
	missEnds  = "ends"
	missHolds = "holds"
)

// fence takes over what f says about the fence.
func (r *Rule) fence(f *fileRule) error {
	found := f.Fence == ""
	for fence, name := range fenceNames {
		if f.Fence == name {
			r.Fence, found = Fence(fence), true
		}
	}
	switch {
	case !found:
		return fmt.Errorf("fence %q: must be off, connection or peer", f.Fence)
	case f.FenceAnswer != "" && f.FenceAnswer != answerStored && f.FenceAnswer != answerNotStored:
		return fmt.Errorf("fence-answer %q: must be %s or %s", f.FenceAnswer, answerStored, answerNotStored)
	case r.Fence == FenceOff && (f.FenceFor != 0 || f.FenceAnswer != ""):
		return fmt.Errorf("fence-for and fence-answer need a fence: connection or peer")
	case f.FenceMiss != "" && f.FenceMiss != missEnds && f.FenceMiss != missHolds:
		return fmt.Errorf("fence-miss %q: must be %s or %s", f.FenceMiss, missEnds, missHolds)
	case f.FenceMiss != "" && r.Fence != FencePeer:
		return fmt.Errorf("fence-miss needs the fence of a peer")
	}
	r.FenceFor = time.Duration(f.FenceFor)
	if r.FenceFor == 0 {
		r.FenceFor = fenceFor
	}
	r.FenceRefuses = f.FenceAnswer == answerNotStored
	r.FenceHolds = f.FenceMiss == missHolds
	return nil
}

// FenceAnswer names what the client hears of a write that the fence kept out.
func (r *Rule) FenceAnswer() string {
	if r.FenceRefuses {
		return answerNotStored
	}
	return answerStored
}

// FencedUntil returns how long a client is held to having seen it, a session, at
// now. A session that then ends by itself may begin again, unless what ends is its
// absolute lifetime.
func (r *Rule) FencedUntil(it *session.Item, now session.Time) session.Time {
	until := now.Add(r.FenceFor)
	if r.Absolute > 0 && it.Created != 0 && it.Expiry > now && it.Expiry >= it.Created.Add(r.Absolute) {
		return until
	}
	return min(until, it.Expiry)
}

// Fences reports whether any rule has a fence.
func (s *Set) Fences() bool { return s != nil && s.fences }

// Fence returns the rule whose fence protects key; nil: none does.
func (s *Set) Fence(key []byte) *Rule {
	if rule, kind := s.For(key); kind == Session && rule.Fence != FenceOff {
		return rule
	}
	return nil
}
