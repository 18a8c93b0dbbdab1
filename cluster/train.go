package cluster

import (
	"errors"
	"time"

	"cairn/session"
)

// Values are encoded by the leader of their group, and stored as they come by all of
// its replicas. So its engine has the samples from which a dictionary is trained, and
// the log adopts that: whoever comes upon a value that was encoded with it has passed
// the entry with the dictionary before. If two nodes have trained one for the same
// place in the engine's list, the log takes the first.

// trainEvery is the time between two looks for sessions that wait for a dictionary.
const trainEvery = time.Second

// train lets the groups that this node leads have dictionaries.
func (n *Node) train() {
	ticker := time.NewTicker(trainEvery)
	defer ticker.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-ticker.C:
			for _, d := range n.shards {
				d.train()
			}
		}
	}
}

// train trains a dictionary, if sessions wait for one and this node leads, and lets
// the log adopt it. It takes up to a second of a core if it does.
func (d *shard) train() {
	e := d.engine()
	if !d.replica.Status().Leads {
		e.ForgetSamples() // the next leader has its own
		return
	}
	if adopt, ok := e.TrainedDictionary(); ok {
		d.adopt(adopt)
	}
}

// adopt lets the log carry out an internal command, which no client may bring, if this
// node leads still. It waits until that is done, or the Store closes.
func (d *shard) adopt(command session.Command) {
	b := &session.Burst{Now: d.store.Now(), Commands: []session.Command{command}}
	b.SizeResults()
	done := make(adopted, 1)
	d.carryOut(b, done)
	select {
	case <-done:
	case <-d.store.ctx.Done():
		return
	}
	logger := d.store.o.Logger.With("group", d.number, "bytes", len(command.Value))
	switch r := &b.Results[0]; {
	case r.Status == session.OK:
		logger.Info("trained a dictionary")
	case errors.Is(r.Err, session.ErrClosed):
	default: // the sessions that are stored next are samples for another
		logger.Debug("a dictionary was not adopted", "status", r.Status, "error", r.Err)
	}
}

// adopted is the Completer of a burst that is waited for.
type adopted chan struct{}

func (a adopted) Complete([]*session.Burst) { a <- struct{}{} }

// internal reports whether b has a command that only a leader may propose.
func internal(b *session.Burst) bool {
	for i := range b.Commands {
		if b.Commands[i].Op == session.OpAdopt {
			return true
		}
	}
	return false
}
