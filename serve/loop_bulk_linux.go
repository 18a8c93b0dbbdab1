package serve

const (
	// bulky is the number of bytes from which on a request or the answers to a
	// burst make their connection wait for those who have less.
	bulky = 64 << 10

	// maxShare is how many bytes a connection may send or receive before others
	// have their turn.
	maxShare = 256 << 10

	// maxBulk is how many bytes the connections with much to send or to receive
	// move before the loop looks for other requests again.
	maxBulk = 1 << 20
)

// share returns how many bytes the next connection may send. Those that have
// more wait in loop.bulk.
func (l *loop) share() int {
	if l.moved >= maxBulk {
		return 0
	}
	return maxShare
}

// serveBulk goes on with connections that have much to send or to receive, in
// turn, as far as a round of the loop allows. What others ask for meanwhile is
// served first in the next round.
func (l *loop) serveBulk() {
	n, taken := len(l.bulk), 0
	for taken < n && l.share() > 0 {
		cl := l.bulk[taken]
		taken++
		before := len(cl.in)
		l.takeTurn(cl)
		l.carryOut()
		l.moved += max(len(cl.in)-before, 0)
	}
	rest := copy(l.bulk, l.bulk[taken:])
	clear(l.bulk[rest:])
	l.bulk = l.bulk[:rest]
}

// flush goes on sending answers.
func (l *loop) flush(cl *loopClient) {
	share := l.share()
	sent, err := cl.sendPieces(&cl.unsent, share)
	l.moved += sent
	if err != nil {
		l.drop(cl, err)
		return
	}
	if len(cl.unsent) > 0 {
		l.queue(cl)
		return
	}
	cl.unsent = nil
	if t := cl.held; t != nil {
		cl.held = nil
		l.reply(t, max(share-sent, 0))
		return
	}
	cl.settleMemory()
	cl.busy = false
	l.proceed(cl)
}
