package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"cairn/cluster/peer"
	"cairn/cluster/remote"
	"cairn/session"
)

// Scan calls fn for live items whose keys begin with prefix and come after `after`
// (nil: all of them), keys ascending, until fn returns false or ctx is done. It asks
// nodes for one page after the other. The item is valid only during the call.
func (p *Proxy) Scan(ctx context.Context, prefix, after []byte, fn func(it *session.Item) bool) error {
	return p.scanItems(ctx, remote.Scan{Prefix: prefix, After: after}, fn)
}

// ScanOwner is session.Owned's, as Scan.
func (p *Proxy) ScanOwner(ctx context.Context, owner, after []byte, values bool, fn func(*session.Item) bool) error {
	if owner == nil {
		owner = []byte{}
	}
	return p.scanItems(ctx, remote.Scan{Owner: owner, After: after, Values: values}, fn)
}

func (p *Proxy) scanItems(ctx context.Context, what remote.Scan, fn func(*session.Item) bool) error {
	for {
		answer, err := p.askPage(ctx, remote.KindScan, &what)
		if err != nil {
			return err
		}
		page, more, err := remote.DecodePage(answer)
		if err != nil {
			return err
		}
		for i := range page {
			if !fn(&page[i].Item) {
				return nil
			}
		}
		if !more || len(page) == 0 {
			return nil
		}
		what.After = bytes.Clone(page[len(page)-1].Item.Key)
	}
}

// ScanOwners is session.Owned's, as Scan.
func (p *Proxy) ScanOwners(ctx context.Context, prefix, after []byte, fn func(*session.OwnerSummary) bool) error {
	what := remote.Scan{Prefix: prefix, After: after}
	for {
		answer, err := p.askPage(ctx, remote.KindOwners, &what)
		if err != nil {
			return err
		}
		body, err := remote.Open(answer)
		if err != nil {
			return err
		}
		var page remote.Owners
		if err := json.Unmarshal(body, &page); err != nil {
			return remote.ErrMalformed
		}
		for i := range page.Owners {
			if !fn(&page.Owners[i]) {
				return nil
			}
		}
		if !page.More || len(page.Owners) == 0 {
			return nil
		}
		what.After = page.Owners[len(page.Owners)-1].Owner
	}
}

// askPage asks one node after the other for a page, until one has it, for as long as
// clients are to wait.
func (p *Proxy) askPage(ctx context.Context, kind remote.Kind, what *remote.Scan) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, p.o.Patience+remote.ScanTime)
	defer cancel()
	call := remote.EncodeJSON(remote.AppendCall(nil, kind), what)
	pause, last := firstPause, uint64(0)
	for begun := time.Now(); ; {
		to := p.members.another(last)
		if to == 0 {
			to = last
		}
		last = to
		answer, err := p.await(ctx, to, call)
		if err == nil {
			if _, err = remote.Open(answer); err == nil {
				return answer, nil
			}
		}
		switch {
		case p.ctx.Err() != nil:
			return nil, session.ErrClosed
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !passes(err):
			return nil, err
		case time.Since(begun) > p.o.Patience:
			return nil, session.ErrUnavailable
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		case <-p.ctx.Done():
		}
		pause = min(2*pause, lastPause)
	}
}

// passes reports whether another node, or this one later, may not have an error.
func passes(err error) bool {
	return errors.Is(err, remote.ErrElsewhere) || errors.Is(err, peer.ErrUnreachable) ||
		errors.Is(err, peer.ErrBroken) || errors.Is(err, peer.ErrTimeout)
}

// await waits for the answer of a node.
func (p *Proxy) await(ctx context.Context, to uint64, call []byte) ([]byte, error) {
	type outcome struct {
		answer []byte
		err    error
	}
	if to == 0 {
		return nil, peer.ErrUnreachable
	}
	done := make(chan outcome, 1)
	p.call(to, call, time.Now().Add(remote.ScanTime), func(answer []byte, err error) { done <- outcome{answer, err} })
	select {
	case o := <-done:
		return o.answer, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
