package torture

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"cairn/session"
)

// TestClusterKills kills random nodes of a cluster, at times all of them and at times in
// the middle of a start, while residents store sessions over all protocols, at the
// nodes and by way of a proxy, and others fight over few keys. What was acknowledged
// must be there, what was deleted or has expired must not, each count goes up by one,
// each key is linearizable, and the proxy closes no connection.
func TestClusterKills(t *testing.T) {
	if !long {
		t.Skip("cmd/cairn has a short one, TestClusterLosesNothing")
	}
	k := &killLoop{clientele: newClientele(t, newCluster(t, true, unprepared))}
	k.begin()
	for round := 1; k.kills < rounds(1, 1000) && !t.Failed(); round++ {
		k.round(round)
	}
	k.end()
	k.settle(true)
	k.report("%d kills, %d of them of all three at once, %d during a start; longest start %v",
		k.kills, k.ofAll, k.inStart, k.longestStart.Round(time.Millisecond))
}

// killLoop is a cluster whose nodes are killed, and its clients.
type killLoop struct {
	*clientele

	kills, ofAll, inStart int
	longestStart          time.Duration
}

// round kills some nodes and starts them again.
func (k *killLoop) round(round int) {
	k.t.Helper()
	contended := k.contend(&history{began: time.Now(), keys: 6, prefix: fmt.Sprintf("r%d-", round), slack: lateExpiry}, 60, 20*time.Millisecond,
		contender{text{}, k.c.nodes}, contender{meta{}, k.c.nodes}, contender{binary{}, k.c.nodes}, contender{text{}, k.c.nodes})
	k.progress("before the kill", 40)
	k.pause(50)
	victims := []*node{pick(k.rng, k.c.nodes...)}
	if round%10 == 0 {
		victims = k.c.nodes
		k.ofAll++
	}
	k.kill(victims...)
	if len(victims) == 1 && k.rng.IntN(4) > 0 {
		k.progress("after the kill", 40)
	}
	k.pause(100)
	began := time.Now()
	for _, v := range victims {
		v.launch()
	}
	for k.rng.IntN(4) == 0 {
		k.pause(300)
		again := pick(k.rng, victims...)
		k.kill(again)
		k.inStart++
		began = time.Now()
		again.launch()
	}
	for _, v := range victims {
		k.c.serves(v)
	}
	k.longestStart = max(k.longestStart, time.Since(began))
	contended()
	if len(victims) > 1 {
		k.settle(false)
	}
}

func (k *killLoop) kill(victims ...*node) {
	killAll(victims...)
	k.kills += len(victims)
}

// killAll kills nodes at the same time.
func killAll(victims ...*node) {
	for _, v := range victims {
		v.cmd.Process.Kill()
	}
	for _, v := range victims {
		v.server.kill()
	}
}

// clientele is the clients of a cluster: residents, who live all the time, and in each round
// contenders, who fight over few keys.
type clientele struct {
	t         *testing.T
	rng       *rand.Rand
	c         *cluster
	residents []*resident
	stop      atomic.Bool
	working   sync.WaitGroup

	histories, operations, undecided, failed int
}

func newClientele(t *testing.T, c *cluster) *clientele {
	t.Helper()
	k := &clientele{t: t, rng: newRand(t), c: c}
	for i := range 10 {
		r := &resident{c: c, rng: rand.New(rand.NewPCG(k.rng.Uint64(), uint64(i))), number: i, held: map[string]string{}, unclear: map[string][2]string{}}
		r.dialect = []dialect{text{}, meta{}, binary{}, web{clusterToken}}[i%4]
		r.proxied = i >= 8
		k.residents = append(k.residents, r)
		conn, err := c.connect(c.nodes[0], text{})
		must(t, err)
		conn.mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: []byte(r.counter()), Value: []byte("0"), Expiry: session.Never})
		conn.close()
	}
	return k
}

// begin lets residents live, end lets them end.
func (k *clientele) begin() {
	for _, r := range k.residents {
		k.working.Go(func() { r.live(&k.stop) })
	}
}

func (k *clientele) end() {
	k.stop.Store(true)
	k.working.Wait()
}

// report says what all have gone through. Residents have ended.
func (k *clientele) report(format string, args ...any) {
	k.t.Helper()
	sessions, gone, unclear, total := 0, 0, 0, residentCounts{}
	for _, r := range k.residents {
		total.add(&r.counts)
		unclear += len(r.unclear)
		for _, value := range r.held {
			if value == "" {
				gone++
			} else {
				sessions++
			}
		}
		if r.err != nil {
			k.t.Errorf("resident %d, over %s: %v", r.number, r.dialect.name(), r.err)
		}
	}
	figures(k.t, "%s; %d commands, %d of them unanswered, %d answered with an error; "+
		"%d sessions as acknowledged and %d deleted at each node, %d unclear; %d sessions expired; %d histories of %d operations, %d without an outcome, %d not decided; "+
		"longest wait for an answer by way of the proxy %v; load of the machine %.1f",
		fmt.Sprintf(format, args...), total.commands, total.unanswered, total.failed, sessions, gone, unclear, total.expired,
		k.histories, k.operations, k.failed, k.undecided, total.longest.Round(time.Millisecond), loadAverage(k.t))
}

func (k *clientele) pause(mostMillis int) {
	time.Sleep(time.Duration(k.rng.IntN(mostMillis*1000)) * time.Microsecond)
}

// progress waits until residents have had so many more answers.
func (k *clientele) progress(when string, answers int64) {
	k.t.Helper()
	sum := func() (n int64) {
		for _, r := range k.residents {
			n += r.answers.Load()
		}
		return n
	}
	for before, began := sum(), time.Now(); sum() < before+answers; time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			k.t.Fatalf("%s nobody is answered", when)
		}
	}
}

// contender is how a client fights over keys: at one of some nodes after the other.
type contender struct {
	dialect
	at []*node
}

// contend lets contenders fight over the keys of a history, each with so many commands at
// most and pauses up to one. The returned function lets them stop, and judges the history.
func (k *clientele) contend(h *history, most int, pause time.Duration, contenders ...contender) func() {
	var contending sync.WaitGroup
	var stop atomic.Bool
	for i, c := range contenders {
		seed := k.rng.Uint64()
		contending.Go(func() { k.fight(h, i, c, seed, most, pause, &stop) })
	}
	return func() {
		k.t.Helper()
		stop.Store(true)
		contending.Wait()
		k.judge(h)
	}
}

func (k *clientele) fight(h *history, id int, c contender, seed uint64, most int, pause time.Duration, stop *atomic.Bool) {
	rng := rand.New(rand.NewPCG(seed, 1))
	versions := make(map[string]uint64)
	var conn *client
	for n := 0; n < most && !stop.Load(); n++ {
		if conn == nil {
			var err error
			if conn, err = k.c.connect(pick(rng, c.at...), c.dialect); err != nil {
				time.Sleep(5 * time.Millisecond)
				continue
			}
		}
		if !h.one(conn, id, h.command(rng, conn.dialect, versions, fmt.Sprintf("%d.%d;", id, n)), versions) || rng.IntN(10) == 0 {
			conn.close()
			conn = nil
		}
		time.Sleep(time.Duration(rng.Int64N(int64(pause))))
	}
	if conn != nil {
		conn.close()
	}
}

func (k *clientele) judge(h *history) {
	k.t.Helper()
	k.failed += h.failed
	for key, ops := range h.byKey() {
		k.histories++
		k.operations += len(ops)
		switch porcupine.CheckOperationsTimeout(registers.ToModel(), ops, 10*time.Second) {
		case porcupine.Illegal:
			k.t.Errorf("key %s: no order explains this:\n%s", key, describeHistory(ops))
		case porcupine.Unknown:
			k.undecided++
		}
	}
}

// settle compares all that residents know with what nodes have: a random one, or each.
// No process that had a command without an answer is left, but for the proxy.
func (k *clientele) settle(everywhere bool) {
	k.t.Helper()
	nodes := []*node{pick(k.rng, k.c.nodes...)}
	if everywhere {
		nodes = k.c.nodes
	}
	for _, r := range k.residents {
		r.mu.Lock()
		for _, n := range nodes {
			if r.err == nil {
				r.err = r.verify(n)
			}
		}
		if r.err != nil {
			k.t.Errorf("resident %d, over %s: %v", r.number, r.dialect.name(), r.err)
		}
		r.mu.Unlock()
	}
}

// resident is a client with keys of its own, at one node after the other, or at the
// proxy.
type resident struct {
	c       *cluster
	rng     *rand.Rand
	number  int
	dialect dialect
	proxied bool
	early   session.Time // in ms: by how much a session may end before its time
	answers atomic.Int64

	mu      sync.Mutex // held during a step, and by who looks at what follows
	conn    *client
	held    map[string]string    // as acknowledged; "": deleted
	unclear map[string][2]string // what a key may hold whose last write was not answered
	brief   []brief
	made    int // brief sessions
	count   uint64
	maybe   uint64 // increments that were not answered, since count was read
	counts  residentCounts
	err     error // what was wrong
}

type residentCounts struct {
	commands, unanswered, failed, expired int
	longest                               time.Duration // by way of the proxy
}

func (c *residentCounts) add(o *residentCounts) {
	c.commands, c.unanswered, c.failed, c.expired = c.commands+o.commands, c.unanswered+o.unanswered, c.failed+o.failed, c.expired+o.expired
	c.longest = max(c.longest, o.longest)
}

// brief is a session that expires within seconds.
type brief struct {
	key, value string
	expiry     session.Time
	gone       bool // it was seen to have expired
}

const (
	// lateExpiry is for how long a session may be there after its time: the log's clock
	// stands still while no node leads, and goes on with the next entry.
	lateExpiry = session.Time(5000) // ms

	residentKeys = 300
)

func (r *resident) key(n int) string { return fmt.Sprintf("res%d-%d", r.number, n) }
func (r *resident) counter() string  { return fmt.Sprintf("count%d", r.number) }

func (r *resident) live(stop *atomic.Bool) {
	for !stop.Load() {
		r.mu.Lock()
		wrong := r.err != nil
		if !wrong {
			r.err = r.step()
		}
		r.mu.Unlock()
		if wrong {
			return
		}
		pause := 5 * time.Millisecond // the HTTP API bounds how often it is asked
		if _, ok := r.dialect.(web); ok {
			pause = 20 * time.Millisecond
		}
		time.Sleep(pause)
	}
	r.mu.Lock()
	r.close()
	r.mu.Unlock()
}

func (r *resident) close() {
	if r.conn != nil {
		r.conn.close()
		r.conn = nil
	}
}

// step carries out a few commands, pipelined.
func (r *resident) step() error {
	if r.conn == nil {
		at := pick(r.rng, r.c.nodes...)
		if r.proxied {
			at = r.c.proxy
		}
		var err error
		if r.conn, err = r.c.connect(at, r.dialect); err != nil {
			if r.proxied {
				return err
			}
			return nil // it is down: another one next
		}
	}
	now := wallNow()
	commands := r.commands(now)
	began := time.Now()
	answers, err := r.conn.do(commands, now)
	if r.proxied {
		r.counts.longest = max(r.counts.longest, time.Since(began))
	}
	r.counts.commands += len(commands)
	r.answers.Add(int64(len(answers)))
	answered := wallNow()
	for i := range commands {
		if i < len(answers) && answers[i].status != session.Failed {
			if err := r.judge(&commands[i], &answers[i], now, answered); err != nil {
				return err
			}
			continue
		}
		if i < len(answers) {
			r.counts.failed++
		} else {
			r.counts.unanswered++
		}
		r.lost(&commands[i])
	}
	if err == nil && r.rng.IntN(50) > 0 {
		return nil
	}
	if err != nil && r.proxied {
		return fmt.Errorf("the proxy has cut a connection: %w", err)
	}
	if !r.proxied {
		r.close()
	}
	return nil
}

// commands makes some on different keys, whose state is known.
func (r *resident) commands(now session.Time) (commands []session.Command) {
	used := map[string]bool{}
	for range 1 + r.rng.IntN(4) {
		key := r.key(r.rng.IntN(residentKeys))
		c := session.Command{Op: session.OpSet, Key: []byte(key), Expiry: now.Add(24 * time.Hour)}
		switch r.rng.IntN(10) {
		case 0:
			c.Op = session.OpDelete
		case 1, 2, 3:
			c.Op = session.OpGet
		case 4:
			if key = r.counter(); !r.dialect.speaks(&session.Command{Op: session.OpIncr}) {
				continue
			}
			c = session.Command{Op: session.OpIncr, Key: []byte(key), Delta: 1}
		case 5:
			r.made++
			key = fmt.Sprintf("brief%d-%d", r.number, r.made)
			c.Key, c.Expiry = []byte(key), session.FromUnix(now.Unix()+1+r.rng.Int64N(4))
		case 6:
			if len(r.brief) == 0 {
				continue
			}
			key = pick(r.rng, r.brief...).key
			c.Op, c.Key = session.OpGet, []byte(key)
		}
		if _, doubtful := r.unclear[key]; doubtful || used[key] {
			continue
		}
		used[key] = true
		if c.Op == session.OpSet && len(c.Value) == 0 {
			c.Value = fmt.Appendf(nil, "value %d of %s %s", r.rng.Uint64(), key, strings.Repeat("-", r.rng.IntN(2000)))
		}
		if c.Op == session.OpGet || c.Op == session.OpDelete {
			c.Expiry = 0
		}
		commands = append(commands, c)
	}
	return commands
}

// judge compares an answer with what the resident knows.
func (r *resident) judge(c *session.Command, a *answer, asked, answered session.Time) error {
	key := string(c.Key)
	want, known := r.held[key]
	there := known && want != ""
	b := r.findBrief(key)
	switch {
	case key == r.counter():
		return r.judgeCount(a)
	case c.Op == session.OpSet && a.status != session.OK, c.Op != session.OpSet && a.status != session.OK && a.status != session.NotFound:
		return fmt.Errorf("%s: status %d %s", key, a.status, a.message)
	case c.Op == session.OpSet && strings.HasPrefix(key, "brief"):
		r.brief = append(r.brief, brief{key: key, value: string(c.Value), expiry: c.Expiry})
		r.brief = r.brief[max(0, len(r.brief)-100):]
	case c.Op == session.OpSet:
		r.held[key] = string(c.Value)
	case b != nil:
		return r.judgeBrief(b, a, asked, answered)
	case strings.HasPrefix(key, "brief"): // forgotten since it was asked for
	case c.Op == session.OpDelete:
		if (a.status == session.OK) != there {
			return fmt.Errorf("delete of %s: status %d, and it should hold %.60q", key, a.status, want)
		}
		r.held[key] = ""
	default:
		return sameValue(key, a, want)
	}
	return nil
}

// sameValue compares what was read with what a key should hold; "": nothing.
func sameValue(key string, a *answer, want string) error {
	switch {
	case a.status == session.Failed:
		return fmt.Errorf("%s cannot be read: %s", key, a.message)
	case a.status == session.OK && want == "":
		return fmt.Errorf("%s is back, with %.60q", key, a.value)
	case a.status != session.OK && want != "":
		return fmt.Errorf("%s is lost; it held %.60q", key, want)
	case string(a.value) != want:
		return fmt.Errorf("%s holds %.60q, want %.60q", key, a.value, want)
	}
	return nil
}

func (r *resident) findBrief(key string) *brief {
	for i := range r.brief {
		if r.brief[i].key == key {
			return &r.brief[i]
		}
	}
	return nil
}

func (r *resident) judgeBrief(b *brief, a *answer, asked, answered session.Time) error {
	switch {
	case a.status == session.OK && string(a.value) != b.value:
		return fmt.Errorf("%s holds %.60q, want %.60q", b.key, a.value, b.value)
	case a.status == session.OK && (b.gone || b.expiry+lateExpiry <= asked):
		return fmt.Errorf("%s is back: it was to expire at %d (seen gone: %t), now it is %d", b.key, b.expiry, b.gone, asked)
	case a.status != session.OK && answered+r.early < b.expiry:
		return fmt.Errorf("%s is lost: it was to live until %d, now it is %d", b.key, b.expiry, answered)
	case a.status != session.OK && !b.gone:
		b.gone = true
		r.counts.expired++
	}
	return nil
}

func (r *resident) judgeCount(a *answer) error {
	switch {
	case a.status != session.OK:
		return fmt.Errorf("%s: status %d %s, after %d", r.counter(), a.status, a.message, r.count)
	case a.number < r.count+1 || a.number > r.count+r.maybe+1:
		return fmt.Errorf("%s is %d after %d and %d increments without an answer", r.counter(), a.number, r.count, r.maybe)
	}
	r.maybe -= a.number - r.count - 1
	r.count = a.number
	return nil
}

// lost notes that a command was not answered.
func (r *resident) lost(c *session.Command) {
	key := string(c.Key)
	switch {
	case c.Op == session.OpGet, strings.HasPrefix(key, "brief"):
	case key == r.counter():
		r.maybe++
	default:
		r.unclear[key] = [2]string{r.held[key], string(c.Value)}
		delete(r.held, key)
	}
}

// verify reads all keys at a node. What was unclear is known afterwards.
func (r *resident) verify(n *node) error {
	conn, err := r.c.connect(n, text{})
	if err != nil {
		return err
	}
	defer conn.close()
	var reads []session.Command
	for key := range r.held {
		reads = append(reads, session.Command{Op: session.OpGet, Key: []byte(key)})
	}
	for key := range r.unclear {
		reads = append(reads, session.Command{Op: session.OpGet, Key: []byte(key)})
	}
	answers, err := conn.do(reads, wallNow())
	if err != nil {
		return fmt.Errorf("at %v: %w", n, err)
	}
	for i := range answers {
		key, a := string(reads[i].Key), &answers[i]
		may, doubtful := r.unclear[key]
		switch {
		case !doubtful:
			err = sameValue(key, a, r.held[key])
		case sameValue(key, a, may[0]) != nil && sameValue(key, a, may[1]) != nil:
			err = fmt.Errorf("%s holds %.60q, which is none of %.60q", key, a.value, may)
		case !r.proxied: // the proxy goes on trying for as long as it lets a client wait
			r.held[key] = string(a.value)
			delete(r.unclear, key)
		}
		if err != nil {
			return fmt.Errorf("at %v: %w", n, err)
		}
	}
	return nil
}
