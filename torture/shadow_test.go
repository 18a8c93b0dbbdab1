package torture

import (
	"fmt"
	"strings"

	"cairn/session"
	"cairn/session/sessiontest"
)

// A shadow is what one client knows of its keys: the model that went through
// the same commands, and after a crash one model for each state that the
// crash may have left. It is not safe for concurrent use.
type shadow struct {
	model    *sessiontest.Model
	versions sessiontest.Versions
	history  map[string][]uint64 // the model's versions of each key

	trace map[string][]string // the last commands on each key, for messages

	// doubtful are commands whose answers never came: any number of the first
	// ones may have been carried out.
	doubtful []session.Command
}

func newShadow(maxValue int) *shadow {
	return &shadow{model: sessiontest.NewModel(maxValue), history: make(map[string][]uint64), trace: make(map[string][]string)}
}

// known gives versions for IfVersion, as the model numbers them.
func (s *shadow) known(key string) []uint64 { return s.history[key] }

// exchange lets a server and the model carry out commands, and tells in what
// the answers are wrong. If the connection ends before all answers are there,
// the rest is in doubt, which settle resolves. broken is the connection's error.
func (s *shadow) exchange(c *client, commands []session.Command, now session.Time) (broken, wrong error) {
	asked := s.translate(commands)
	answers, broken := c.do(asked, now)
	results := s.carryOut(s.model, commands[:len(answers)], now)
	for i := range answers {
		key := string(commands[i].Key)
		if err := differs(&commands[i], &answers[i], &results[i], &s.versions, now); err != nil {
			return broken, fmt.Errorf("%s: %s: %w; before it:\n%s", c.name(), sessiontest.Describe(&commands[i]), err,
				strings.Join(s.trace[key], "\n"))
		}
		s.remember(&results[i])
		s.note(key, fmt.Sprintf("%s gave %d, %.60q", sessiontest.Describe(&asked[i]), answers[i].status, answers[i].value))
	}
	s.doubtful = commands[len(answers):]
	return broken, nil
}

func (s *shadow) note(key, line string) {
	const most = 12
	t := append(s.trace[key], line)
	s.trace[key] = t[max(0, len(t)-most):]
}

// translate turns the model's versions into the server's.
func (s *shadow) translate(commands []session.Command) []session.Command {
	asked := append([]session.Command(nil), commands...)
	for i := range asked {
		asked[i].CAS = s.versions.ToStore(asked[i].CAS)
	}
	return asked
}

// carryOut applies commands one by one to a model.
func (s *shadow) carryOut(m *sessiontest.Model, commands []session.Command, now session.Time) []session.Result {
	b := session.Burst{Now: now, Commands: commands}
	session.Do(m, &b)
	return b.Results
}

func (s *shadow) remember(r *session.Result) {
	if r.Status != session.OK || r.Item.Version == 0 || s.versions.ToStore(r.Item.Version) == r.Item.Version && r.Item.Version < sessiontest.ChosenVersions {
		return // unknown to the server's numbering
	}
	key := string(r.Item.Key)
	h := append(s.history[key], r.Item.Version)
	s.history[key] = h[max(0, len(h)-3):]
}

// settle takes the answers to reads that came after a crash and finds the state
// that explains them. flushed says that a flush came last, before the reads.
func (s *shadow) settle(reads []session.Command, answers []answer, flushed bool, now session.Time) error {
	if len(answers) != len(reads) {
		return fmt.Errorf("%d answers to %d reads", len(answers), len(reads))
	}
	candidate := s.model.Clone()
	var first error
	for done := 0; ; done++ {
		err := s.explains(candidate, reads, answers, flushed, now)
		if err == nil {
			s.doubtful = nil
			return nil
		}
		if first == nil {
			first = err
		}
		if done == len(s.doubtful) {
			return fmt.Errorf("no state explains what is there; with nothing of the %d unanswered commands: %w; with all of them: %v",
				len(s.doubtful), first, err)
		}
		s.carryOut(candidate, s.doubtful[done:done+1], now)
	}
}

// explains tells whether m answers reads as the server did, and makes it the
// shadow's model if so.
func (s *shadow) explains(m *sessiontest.Model, reads []session.Command, answers []answer, flushed bool, now session.Time) error {
	m, versions := m.Clone(), s.versions.Clone()
	if flushed {
		s.carryOut(m, []session.Command{{Op: session.OpFlush}}, now)
	}
	results := s.carryOut(m, reads, now)
	for i := range answers {
		if err := differs(&reads[i], &answers[i], &results[i], &versions, now); err != nil {
			return fmt.Errorf("key %q: %w", reads[i].Key, err)
		}
	}
	s.model, s.versions = m, versions
	for i := range results {
		s.remember(&results[i])
	}
	return nil
}
