package torture

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ruled is a rule with everything in it. Its absolute lifetime is the shorter one, so
// that it is what ends sessions, however often they are renewed.
const ruled = `rules:
  - name: app
    prefix: "s:"
    locks: "l:"
    volatile: true
    park: 50ms
    free-on-close: true
    fence: connection
    max-ttl: 4h
    absolute: 2h
    owner: "php: user_id"
`

const absolute = 2 * time.Hour

// TestRulesCrashLoop kills a server with a rule for sessions under the feet of its
// visitors. Before and after: who logged out stays logged out although a request that
// had read the session stores it again, lifetimes count from a session's beginning, a
// lock has one holder, and users have the sessions that they have.
func TestRulesCrashLoop(t *testing.T) {
	t.Parallel()
	l := newRulesLoop(t)
	for range rounds(8, 300) {
		l.round(func() (cut bool) {
			if l.rng.IntN(4) == 0 {
				l.stops++
				l.s.stop(20 * time.Second)
			} else {
				l.kills++
				l.s.kill()
			}
			l.s.start()
			return true
		})
	}
	l.finish()
}

// TestRulesTakeoverLoop does the same while one process of the server after the other
// takes over, or is killed when it tries to. What connections have seen and the locks
// they hold travel with them.
func TestRulesTakeoverLoop(t *testing.T) {
	t.Parallel()
	l := newRulesLoop(t)
	heirs := &takeoverLoop{crashLoop: &crashLoop{t: t, rng: l.rng, s: l.s}}
	for range rounds(6, 200) {
		l.round(func() (cut bool) {
			heir := &server{t: t, dir: l.s.dir, sock: l.s.sock, flags: append([]string{"--takeover"}, l.s.flags...)}
			heir.launch()
			cut = pick(l.rng, heirs.takeOver, heirs.takeOver, heirs.killTaker)(heir)
			l.s = heirs.s
			return cut
		})
	}
	l.takeovers, l.takersKilled = heirs.taken, heirs.takersKilled+heirs.heirsKilled
	l.finish()
}

// TestCrashLoopOfTracked is TestCrashLoop, with every verb of each protocol, on sessions
// of which the store keeps when they began and whose they are.
func TestCrashLoopOfTracked(t *testing.T) {
	t.Parallel()
	const tracked = `rules: [{name: clients, prefix: c, owner: "json: user"}]`
	newCrashLoop(t, newServer(t, "--session-rules", rulesFile(t, tracked)), 6).run(rounds(4, 200))
}

// rulesFile is a file with these rules.
func rulesFile(t *testing.T, rules string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// rulesLoop is a server with a rule, and its visitors.
type rulesLoop struct {
	t        *testing.T
	rng      *rand.Rand
	s        *server
	admin    string
	visitors []*visitor
	holders  [2]atomic.Int32 // of each lock
	shared   atomic.Int32    // times that a lock had two holders

	// what was done
	kills, stops, takeovers, takersKilled int
}

func newRulesLoop(t *testing.T) *rulesLoop {
	l := &rulesLoop{t: t, rng: newRand(t), admin: freeAddress(t)}
	l.s = newServer(t, "--session-rules", rulesFile(t, ruled), "--http-listen", l.admin)
	for i := range 6 {
		l.visitors = append(l.visitors, &visitor{
			loop: l, rng: rand.New(rand.NewPCG(l.rng.Uint64(), uint64(i))), user: fmt.Sprintf("user%d", i),
			sessions: map[string]*visit{}, done: map[string]int{},
		})
	}
	l.s.start()
	return l
}

// round lets the visitors work while event happens, which reports whether connections
// may have been cut.
func (l *rulesLoop) round(event func() (cut bool)) {
	l.t.Helper()
	for i := range l.holders {
		l.holders[i].Store(0)
	}
	l.shared.Store(0)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, v := range l.visitors {
		wg.Go(func() { v.run(stop) })
	}
	time.Sleep(time.Duration(20+l.rng.IntN(150)) * time.Millisecond)
	cut := event()
	time.Sleep(time.Duration(l.rng.IntN(40)) * time.Millisecond)
	close(stop)
	wg.Wait()
	if n := l.shared.Load(); n > 0 && !cut {
		l.t.Errorf("%d times a lock had two holders", n)
	}
	for _, v := range l.visitors {
		if v.wrong != nil {
			l.t.Errorf("%s: %v", v.user, v.wrong)
		}
		if v.broken && !cut {
			l.t.Errorf("%s was cut off, but no server died", v.user)
		}
		v.hangUp()
	}
	l.verify()
	if l.t.Failed() {
		l.t.FailNow()
	}
}

// verify looks at every session that there was, by its key and by its user.
func (l *rulesLoop) verify() {
	l.t.Helper()
	c, err := dialLine(l.s.sock)
	if err != nil {
		l.t.Fatal(err)
	}
	defer c.Close()
	for _, v := range l.visitors {
		for key, s := range v.sessions {
			if err := s.settle(c, key); err != nil {
				l.t.Errorf("%s of %s: %v", key, v.user, err)
			}
		}
		if got, want := l.sessionsOf(v.user), v.live(); !slices.Equal(got, want) {
			l.t.Errorf("%s has the sessions %q, by the index %q", v.user, want, got)
		}
	}
	for i := range l.holders {
		key := fmt.Sprint("l:", i)
		if answer, err := c.ask("add " + key + " 0 30 1\r\nx\r\n"); answer != "STORED" {
			l.t.Errorf("the lock %s is held by nobody's connection: %q, %v", key, answer, err)
		}
		if answer, err := c.ask("delete " + key + "\r\n"); answer != "DELETED" {
			l.t.Errorf("free %s: %q, %v", key, answer, err)
		}
	}
}

// sessionsOf returns the keys of a user's sessions as the HTTP API has them.
func (l *rulesLoop) sessionsOf(user string) (keys []string) {
	l.t.Helper()
	var body []byte
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if body, err = l.call(http.MethodGet, "/v1/owners/"+user+"/sessions?limit=1000"); err == nil {
			break
		}
	}
	var page struct{ Sessions []struct{ Key string } }
	if err == nil {
		err = json.Unmarshal(body, &page)
	}
	if err != nil {
		l.t.Fatalf("the sessions of %s: %v", user, err)
	}
	for _, s := range page.Sessions {
		keys = append(keys, s.Key)
	}
	return keys
}

func (l *rulesLoop) call(method, path string) ([]byte, error) {
	r, err := http.NewRequest(method, "http://"+l.admin+path, nil)
	if err != nil {
		return nil, err
	}
	r.Close = true
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err == nil && reply.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, reply.Status, body)
	}
	return body, err
}

func (l *rulesLoop) finish() {
	l.t.Helper()
	l.s.stop(20 * time.Second)
	done := map[string]int{}
	for _, v := range l.visitors {
		for what, n := range v.done {
			done[what] += n
		}
	}
	for _, what := range []string{"login", "renewal", "late write", "kick", "lock"} {
		if done[what] == 0 {
			l.t.Errorf("no %s was ever answered", what)
		}
	}
	figures(l.t, "%d kills, %d orderly stops, %d takeovers, %d takers killed; %d logins, %d renewals, %d logouts with a late write, "+
		"%d kicks with a late write, %d locks held", l.kills, l.stops, l.takeovers, l.takersKilled,
		done["login"], done["renewal"], done["late write"], done["kick"], done["lock"])
}

// visitor is a user with several sessions and two requests at a time, each on a
// connection of its own.
type visitor struct {
	loop     *rulesLoop
	rng      *rand.Rand
	user     string
	logins   int
	sessions map[string]*visit
	a, b     *lineClient

	broken bool           // a connection was cut
	wrong  error          // an answer that should not be
	done   map[string]int // what was answered
}

// visit is a session as its visitor knows it.
type visit struct {
	began     time.Time // before the login was sent
	begunBy   time.Time // after it was answered
	value     string    // "": it is gone
	doubtful  bool      // the last change was not answered
	otherwise string    // what it is then, if it has happened
}

// errWrong is the error of an answer that should not be.
var errWrong = errors.New("wrong answer")

func (v *visitor) run(stop chan struct{}) {
	v.broken = false
	var err error
	if v.a, err = dialLine(v.loop.s.sock); err == nil {
		v.b, err = dialLine(v.loop.s.sock)
	}
	for err == nil {
		select {
		case <-stop:
			return
		default:
		}
		err = v.step()
	}
	if v.broken = true; errors.Is(err, errWrong) {
		v.wrong = err
	}
}

func (v *visitor) hangUp() {
	for _, c := range []*lineClient{v.a, v.b} {
		if c != nil {
			c.Close()
		}
	}
	v.a, v.b = nil, nil
}

func (v *visitor) step() error {
	keys := v.live()
	if len(keys) == 0 {
		return v.login()
	}
	key := pick(v.rng, keys...)
	switch n := v.rng.IntN(20); {
	case n < 4 && len(keys) < 8:
		return v.login()
	case n < 12:
		return v.renew(key)
	case n < 15:
		return v.lateWrite(key, func() error {
			v.sessions[key].doubt("")
			return v.b.must("delete "+key+"\r\n", "DELETED")
		}, "late write")
	case n < 16:
		err := v.lateWrite(key, v.kick, "kick")
		if errors.Is(err, errNoAnswer) {
			return nil // in doubt until the round ends
		}
		return err
	}
	return v.lock()
}

// live lists the sessions that there are, as far as is known.
func (v *visitor) live() (keys []string) {
	for key, s := range v.sessions {
		if s.value != "" && !s.doubtful {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (v *visitor) value() string {
	return fmt.Sprintf(`user_id|s:%d:"%s";n|i:%d;`, len(v.user), v.user, v.rng.Uint32())
}

func store(key, value string) string {
	return fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", key, len(value), value)
}

func (v *visitor) login() error {
	v.logins++
	key := fmt.Sprintf("s:%s-%d", v.user, v.logins)
	s := &visit{began: time.Now()}
	v.sessions[key] = s
	value := v.value()
	s.doubt(value)
	if err := v.a.must(store(key, value), "STORED"); err != nil {
		s.begunBy = s.began.Add(patience)
		return err
	}
	s.begunBy = time.Now()
	s.is(value)
	v.done["login"]++
	return nil
}

// renew reads a session, which must be as it was left, and stores it anew.
func (v *visitor) renew(key string) error {
	s := v.sessions[key]
	if err := v.a.must("get "+key+"\r\n", s.value); err != nil {
		return err
	}
	value := v.value()
	s.doubt(value)
	if err := v.a.must(store(key, value), "STORED"); err != nil {
		return err
	}
	s.is(value)
	v.done["renewal"]++
	return nil
}

// lateWrite reads a session on one connection, lets end end it on another, and stores
// it again on the first, which must do nothing. It says STORED all the same.
func (v *visitor) lateWrite(key string, end func() error, what string) error {
	s := v.sessions[key]
	if err := v.a.must("get "+key+"\r\n", s.value); err != nil {
		return err
	}
	if err := end(); err != nil {
		return err
	}
	s.is("")
	if err := v.a.must(store(key, v.value()), "STORED"); err != nil {
		return err
	}
	if err := v.b.must("get "+key+"\r\n", ""); err != nil {
		return err
	}
	v.done[what]++
	return nil
}

// errNoAnswer is the error of an HTTP request that was not answered.
var errNoAnswer = errors.New("no answer")

// kick ends all sessions of the user. The HTTP API may be cut off where memcached's
// connections are not: it does not travel.
func (v *visitor) kick() error {
	keys := v.live()
	for _, key := range keys {
		v.sessions[key].doubt("")
	}
	if _, err := v.loop.call(http.MethodDelete, "/v1/owners/"+v.user+"/sessions"); err != nil {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	for _, key := range keys {
		v.sessions[key].is("")
	}
	return nil
}

// lock takes a lock, which nobody else has then, and frees it.
func (v *visitor) lock() error {
	i := v.rng.IntN(len(v.loop.holders))
	key := fmt.Sprint("l:", i)
	answer, err := v.a.ask("add " + key + " 0 60 1\r\nx\r\n")
	if err != nil || answer == "NOT_STORED" {
		return err
	}
	if answer != "STORED" {
		return fmt.Errorf("%w: add %s: %q", errWrong, key, answer)
	}
	if v.loop.holders[i].Add(1) != 1 {
		v.loop.shared.Add(1)
	}
	_, err = v.a.ask("get " + key + "\r\n")
	v.loop.holders[i].Add(-1)
	if err == nil {
		err = v.a.must("delete "+key+"\r\n", "DELETED")
	}
	if err == nil {
		v.done["lock"]++
	}
	return err
}

// doubt says that a change to value, "" for its end, is under way.
func (s *visit) doubt(value string) { s.doubtful, s.otherwise = true, value }

func (s *visit) is(value string) { s.value, s.doubtful = value, false }

// settle finds out what became of a session, and when it ends.
func (s *visit) settle(c *lineClient, key string) error {
	value, err := c.ask("get " + key + "\r\n")
	if err != nil {
		return err
	}
	if value != s.value && !(s.doubtful && value == s.otherwise) {
		return fmt.Errorf("it is %q; it was %q, and %q if what was not answered has happened (%t)", value, s.value, s.otherwise, s.doubtful)
	}
	if s.is(value); value == "" {
		return nil
	}
	asked := time.Now()
	answer, err := c.ask("mg " + key + " t\r\n")
	if err != nil {
		return err
	}
	seconds, err := strconv.Atoi(strings.TrimPrefix(answer, "HD t"))
	if err != nil {
		return fmt.Errorf("ask for its expiry: %q", answer)
	}
	const slack = 2 * time.Second // servers count in seconds
	ends := time.Duration(seconds) * time.Second
	most := absolute - asked.Sub(s.begunBy) + slack
	if least := absolute - time.Since(s.began) - slack; ends < least || ends > most {
		return fmt.Errorf("it ends in %v; it began %v ago, so that must be %v to %v", ends, time.Since(s.began), least, most)
	}
	return nil
}

// lineClient is a connection that speaks the text protocol, one command at a time.
type lineClient struct {
	net.Conn
	r *bufio.Reader
}

func dialLine(sock string) (*lineClient, error) {
	conn, err := net.Dial("unix", sock)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	return &lineClient{Conn: conn, r: bufio.NewReader(conn)}, nil
}

// ask returns the line that a command is answered with; of a get the value, "" if there
// is none.
func (c *lineClient) ask(command string) (string, error) {
	if _, err := io.WriteString(c, command); err != nil {
		return "", err
	}
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "END" {
		return "", nil
	}
	if !strings.HasPrefix(line, "VALUE ") {
		return line, nil
	}
	size, err := strconv.Atoi(line[strings.LastIndexByte(line, ' ')+1:])
	if err != nil {
		return "", fmt.Errorf("%w: %q", errWrong, line)
	}
	rest := make([]byte, size+len("\r\nEND\r\n"))
	if _, err := io.ReadFull(c.r, rest); err != nil {
		return "", err
	}
	return string(rest[:size]), nil
}

// must is ask for what must be answered in one way.
func (c *lineClient) must(command, want string) error {
	answer, err := c.ask(command)
	if err == nil && answer != want {
		err = fmt.Errorf("%w: %q is answered %q, want %q", errWrong, command, answer, want)
	}
	return err
}
