package serve

// A connection of a loop claims memory for a large request before it reads all
// of it, and for large answers, which it expects after large answers, before it
// reads what asks for them. While it waits for memory it is parked: it reads
// nothing, and the loop leaves it alone.

// mayReceive reports whether cl may hold n bytes of input. If not, it is parked.
func (cl *loopClient) mayReceive(n int) bool {
	return int64(n) <= cl.inputs || cl.mayHold(int64(n), cl.answers)
}

// mayAnswer reports whether cl may get answers as long as the last ones. If not,
// it is parked.
func (cl *loopClient) mayAnswer() bool {
	return cl.expects <= max(cl.answers, freeBuffer) || cl.mayHold(cl.inputs, cl.expects)
}

func (cl *loopClient) mayHold(inputs, answers int64) bool {
	cl.inputs, cl.answers = inputs, answers
	switch total := inputs + answers; {
	case total == cl.claim.has:
	case total <= freeBuffer || cl.claim.holds:
		cl.claim.set(total)
	default:
		cl.parked = !cl.claim.ask(total)
	}
	return !cl.parked
}

// Take makes cl the session.Room of its bursts.
func (cl *loopClient) Take(n int64, then func()) bool { return cl.claim.take(cl.inputs+n, then) }

// holdAnswers counts the answers of t, which wait to be sent.
func (cl *loopClient) holdAnswers(t *turn) {
	if t != nil && !t.counted {
		t.counted = true
		cl.answers = max(cl.answers, valuesIn(&t.burst)+int64(cl.unsent.len()))
		cl.claim.set(cl.inputs + cl.answers)
	}
}

// settleMemory gives back what cl holds no more.
func (cl *loopClient) settleMemory() {
	cl.inputs, cl.answers = int64(cap(cl.in)), int64(cl.unsent.len())
	if total := cl.inputs + cl.answers; total != cl.claim.has {
		cl.claim.set(total)
	}
}

// unpark goes on with a connection that has got memory.
func (l *loop) unpark(cl *loopClient) {
	cl.parked = false
	if cl.fd >= 0 && !l.isFrozen {
		l.queue(cl)
	}
}
