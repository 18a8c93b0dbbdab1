package load

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"golang.org/x/sync/errgroup"
)

// RunOrdinary carries out o as an ordinary Go program would: with gomemcache
// and a goroutine for each flow. It speaks memcached's text protocol whatever
// o.Dialect says, carries out the operations of an exchange one after another,
// and is slower than Run by what such a client costs.
func RunOrdinary(ctx context.Context, o Options) (*Result, error) {
	o.setDefaults()
	client := memcache.New(o.Address)
	client.MaxIdleConns = len(o.Flows)
	client.Timeout = backlogLimit
	defer client.Close()
	if err := client.Ping(); err != nil {
		return nil, err
	}
	shared := &ordinary{client: client, record: newRecorder(o.Interval), schedule: newSchedule(&o, 0, 1)}
	if o.Started != nil {
		o.Started()
	}
	shared.start = time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for _, flow := range o.Flows {
		group.Go(func() error { return shared.run(ctx, flow) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	shared.record.Elapsed = time.Since(shared.start)
	return shared.record.Result, nil
}

// ordinary is what the goroutines of such a run share.
type ordinary struct {
	client *memcache.Client
	start  time.Time

	mu       sync.Mutex
	record   recorder // guarded by mu
	schedule schedule // guarded by mu
}

func (s *ordinary) now() int64 { return int64(time.Since(s.start)) }

func (s *ordinary) run(ctx context.Context, flow Flow) error {
	var ops []Op
	for {
		due, ok := s.nextTurn()
		if !ok {
			return nil
		}
		if err := sleepUntil(ctx, s.start.Add(time.Duration(due))); err != nil {
			return err
		}
		from := due
		for exchanges := 0; ; exchanges++ {
			if ops = flow.Next(ops[:0]); len(ops) == 0 {
				if exchanges == 0 {
					return nil
				}
				break
			}
			for i := range ops {
				if err := s.operate(flow, &ops[i], from); err != nil {
					return err
				}
				from = s.now()
			}
		}
		s.mu.Lock()
		s.record.turn(due, from)
		s.mu.Unlock()
	}
}

// nextTurn takes the next turn, even if its time has not come.
func (s *ordinary) nextTurn() (due int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.schedule.late(now) {
		s.record.abandon(&s.schedule, now)
		return 0, false
	}
	if due, ok = s.schedule.next(now); ok {
		s.schedule.begun++
	}
	return due, ok
}

func sleepUntil(ctx context.Context, at time.Time) error {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// operate carries out op, the waiting for which began at from.
func (s *ordinary) operate(flow Flow, op *Op, from int64) error {
	answers, err := s.call(op)
	if err != nil {
		return err
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range answers {
		s.record.answer(op, a, flow.Check(op, a))
	}
	s.record.operation(op, from, now)
	return nil
}

// call turns op into calls of the client; err is a broken connection.
func (s *ordinary) call(op *Op) ([]Answer, error) {
	item := &memcache.Item{Key: string(op.Key), Value: op.Value, Expiration: int32(op.Exptime)}
	var err error
	switch op.Kind {
	case GetMulti:
		return s.getMulti(op)
	case Get:
		item, err = s.client.Get(string(op.Key))
		if err == nil {
			return []Answer{{Outcome: Done, Value: item.Value}}, nil
		}
	case Set:
		err = s.client.Set(item)
	case Add:
		err = s.client.Add(item)
	case Touch:
		err = s.client.Touch(item.Key, item.Expiration)
	case Delete:
		err = s.client.Delete(item.Key)
	}
	switch {
	case err == nil:
		return []Answer{{Outcome: Done}}, nil
	case errors.Is(err, memcache.ErrCacheMiss), errors.Is(err, memcache.ErrNotStored):
		return []Answer{{Outcome: Absent}}, nil
	case errors.Is(err, memcache.ErrServerError):
		return []Answer{{Outcome: Refused, Value: []byte(err.Error())}}, nil
	}
	return nil, err
}

func (s *ordinary) getMulti(op *Op) ([]Answer, error) {
	keys := make([]string, len(op.Keys))
	for i, key := range op.Keys {
		keys[i] = string(key)
	}
	items, err := s.client.GetMulti(keys)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(keys))
	for i, key := range keys {
		answers[i] = Answer{Item: i, Outcome: Absent}
		if item := items[key]; item != nil {
			answers[i].Outcome, answers[i].Value = Done, item.Value
		}
	}
	return answers, nil
}
