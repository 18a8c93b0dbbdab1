package serve

import (
	"math/rand/v2"
	"testing"
)

const mega = 1 << 20

// claimsOn makes claims on a budget, and a log of who was granted.
func claimsOn(limit int64, n int) (b *budget, claims []*claim, granted *[]int) {
	b = &budget{limit: limit}
	granted = new([]int)
	for i := range n {
		claims = append(claims, &claim{budget: b, granted: func() { *granted = append(*granted, i) }})
	}
	return b, claims, granted
}

// Small claims come first, and no claim is overtaken for ever.
func TestBudgetOrder(t *testing.T) {
	b, c, granted := claimsOn(10*mega, 4)
	if !c[0].ask(8*mega) || c[1].ask(9*mega) || c[2].ask(3*mega) || !c[3].ask(2*mega) {
		t.Fatal("granted what is not there, or not what is there")
	}
	c[0].end()
	if len(*granted) != 1 || (*granted)[0] != 2 || !b.tight.Load() {
		t.Fatalf("granted: %v, want the smaller one", *granted)
	}
	for i := range maxOvertakings * 2 {
		c[2].end()
		if len(*granted) > 1 {
			t.Fatalf("granted while 2 MB of 10 are in use: %v", *granted)
		}
		if !c[2].ask(3 * mega) {
			if i < maxOvertakings/2 {
				t.Fatalf("after %d rounds a small claim had to wait", i)
			}
			c[3].end()
			if len(*granted) != 2 || (*granted)[1] != 1 {
				t.Fatalf("granted: %v, want the oldest", *granted)
			}
			return
		}
	}
	t.Fatal("a claim was overtaken for ever")
}

// Whoever asks again while it waits, waits once, for what it asked for last.
func TestBudgetAskedTwice(t *testing.T) {
	b, c, granted := claimsOn(10*mega, 3)
	if !c[0].ask(8*mega) || c[1].ask(9*mega) || c[1].ask(5*mega) || c[2].ask(6*mega) {
		t.Fatal("granted what is not there, or not what is there")
	}
	if _, waiting := b.inUse(); waiting != 2 {
		t.Fatalf("%d claims wait", waiting)
	}
	c[0].end()
	c[1].end()
	c[2].end()
	if used, waiting := b.inUse(); used != 0 || waiting != 0 || len(*granted) != 2 || (*granted)[0] != 1 {
		t.Errorf("%d bytes, %d claims wait, granted: %v", used, waiting, *granted)
	}
}

// One claim is granted at a time even if it alone exceeds the budget, or what
// was not asked for does.
func TestBudgetAlwaysGoesOn(t *testing.T) {
	_, c, granted := claimsOn(mega, 3)
	c[2].set(5 * mega)
	if !c[0].ask(4*mega) || c[1].ask(3*mega) {
		t.Fatal("not exactly one was granted")
	}
	c[0].end()
	if len(*granted) != 1 {
		t.Fatal("the next one was not granted")
	}
}

// A claim that ends while it waits holds up nobody.
func TestBudgetForgets(t *testing.T) {
	b, c, granted := claimsOn(10*mega, 3)
	c[0].ask(8 * mega)
	c[1].ask(3 * mega)
	c[2].ask(4 * mega)
	c[1].end()
	c[0].set(6 * mega)
	if used, waiting := b.inUse(); len(*granted) != 1 || used != 10*mega || waiting != 0 || b.tight.Load() {
		t.Errorf("granted %v, %d in use, %d waiting", *granted, used, waiting)
	}
}

// A store that waits for memory hears of it once, by a call of its own; who has
// enough, or holds some already, does not wait.
func TestBudgetTake(t *testing.T) {
	b, c, granted := claimsOn(10*mega, 4)
	called := make(chan struct{})
	then := func() { called <- struct{}{} }
	if !c[0].take(freeBuffer, then) || !c[0].take(8*mega, then) || !c[0].take(9*mega, then) || b.used != 9*mega {
		t.Fatalf("waits for what is there; %d bytes are in use", b.used)
	}
	if c[1].take(4*mega, then) || c[2].ask(3*mega) {
		t.Fatal("got what is not there")
	}
	c[0].end()
	<-called
	if len(*granted) != 1 || (*granted)[0] != 2 || b.used != 7*mega {
		t.Errorf("granted %v, %d bytes in use", *granted, b.used)
	}
	c[1].end()
	c[1].take(5*mega, then)
	c[1].end()
	if c[3].ask(9 * mega); c[2].has != 3*mega || len(*granted) != 1 {
		t.Errorf("%v were granted", *granted)
	}
	c[2].end()
	if len(*granted) != 2 {
		t.Error("a claim that came after a store's was not granted as usual")
	}
}

// While connections stand still, only stores get memory.
func TestBudgetHandover(t *testing.T) {
	b, c, granted := claimsOn(10*mega, 3)
	called := make(chan struct{})
	c[0].ask(9 * mega)
	c[1].ask(5 * mega)
	c[2].take(8*mega, func() { called <- struct{}{} })
	b.setHandover(true)
	<-called
	if len(*granted) != 0 {
		t.Fatal("a connection that stands still got memory")
	}
	b.setHandover(false)
	c[2].end()
	if c[0].end(); len(*granted) != 1 {
		t.Error("a connection that goes on got no memory")
	}
}

// Whatever connections do, the sums are right, and as long as some end, all are
// granted.
func TestBudgetAtRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	b, claims, _ := claimsOn(10*mega, 50)
	for range 100_000 {
		c := claims[rng.IntN(len(claims))]
		switch {
		case c.wants > 0 && rng.IntN(10) > 0:
		case rng.IntN(3) == 0:
			c.end()
		case rng.IntN(3) == 0 && c.wants == 0:
			c.set(rng.Int64N(freeBuffer))
		case c.wants == 0 && !c.holds:
			c.ask(freeBuffer + rng.Int64N(12*mega))
		}
		var used int64
		holders, waiting := 0, 0
		for _, c := range claims {
			used += c.has
			if c.holds {
				holders++
			}
			if c.wants > 0 {
				waiting++
			}
		}
		if used != b.used || holders != b.holders || waiting != len(b.waiting) || waiting > 0 && holders == 0 {
			t.Fatalf("%d bytes of %d holders, %d waiting; the budget says %d, %d, %d",
				used, holders, waiting, b.used, b.holders, len(b.waiting))
		}
	}
	for range len(claims) {
		for _, c := range claims {
			if c.wants == 0 {
				c.end()
			}
		}
	}
	if b.used != 0 || len(b.waiting) > 0 {
		t.Errorf("%d bytes and %d claims are left", b.used, len(b.waiting))
	}
}
