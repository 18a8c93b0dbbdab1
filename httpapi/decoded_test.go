package httpapi

import (
	"context"
	"testing"

	"cairn/session"
)

// TestDecodingIsBounded asks for decoded values while all turns are taken:
// requests wait, and one whose client goes leaves without a turn.
func TestDecodingIsBounded(t *testing.T) {
	h := start(t, Options{})
	h.engine.put("k", "i:1;", session.Never)
	ask := func(ctx context.Context) error {
		_, err := h.server.getDecoded(ctx, &decodedInput{KeyParam: KeyParam{key: []byte("k")}})
		return err
	}
	for range maxDecoding {
		h.server.decoding <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan error, 1)
	go func() { waits <- ask(ctx) }()
	select {
	case err := <-waits:
		t.Fatalf("a request did not wait: %v", err)
	default:
	}
	cancel()
	if err := <-waits; err == nil {
		t.Error("a request was answered without a turn")
	}
	h.server.decoding.release()
	if err := ask(ctx); err == nil {
		t.Error("a value was decoded for a client that had gone")
	}
	if err := ask(t.Context()); err != nil {
		t.Error(err)
	}
	if turns := len(h.server.decoding); turns != maxDecoding-1 {
		t.Errorf("%d turns are taken, want %d", turns, maxDecoding-1)
	}
}
