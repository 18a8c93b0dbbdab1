package owner

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits of a path.
const (
	maxPath      = 512 // bytes
	maxPathSteps = 16
)

// Path says where in a value the id of its owner stands.
type Path struct {
	text   string
	format format
	steps  []step
}

// String returns the path as it was written.
func (p Path) String() string { return p.text }

// step is one step of a path: to a member, or into a text.
type step struct {
	kind           stepKind
	prefix, suffix []byte // of the member's name; of a name without *, prefix is all
}

type stepKind uint8

const (
	stepName   stepKind = iota
	stepGlob            // names with a prefix and a suffix; any member if both are empty
	stepDeep            // **: any number of members
	stepNested          // ~: what the text here says
)

// ParsePath reads a path: the name of a format, a colon, and steps. The formats are
// json, php (whatever PHP's sessions may be in), php_session, php_serialize,
// php_binary, igbinary, msgpack, pickle, marshal, java and msm.
//
//	a.b       the member b of the member a
//	"a.b"     the member a.b; \ stands before " and \
//	[2]       the third of a list, or the member named 2
//	*         any member
//	a*b       any member whose name begins with a and ends with b
//	**        any members, of any depth; a step to a member comes behind it
//	~         the value that is written, in any of the formats, as a text here
func ParsePath(text string) (Path, error) {
	p := Path{text: text}
	name, rest, found := strings.Cut(text, ":")
	if p.format = formatNames[strings.TrimSpace(name)]; !found || p.format == unknown {
		return Path{}, fmt.Errorf("path %q: must begin with a format and a colon; formats are %s", text, strings.Join(Formats(), ", "))
	}
	var err error
	if len(text) > maxPath {
		err = fmt.Errorf("is longer than %d bytes", maxPath)
	} else if p.steps, err = parseSteps(strings.TrimSpace(rest)); err == nil {
		err = checkSteps(p.steps)
	}
	if err == nil && p.format == formatMSM && !slices.ContainsFunc(msmMembers, p.steps[0].names) {
		err = fmt.Errorf("must begin with %s", bytes.Join(msmMembers, []byte(", ")))
	}
	if err != nil {
		return Path{}, fmt.Errorf("path %q: %w", text, err)
	}
	return p, nil
}

// Formats names the formats that paths can begin with.
func Formats() []string {
	names := make([]string, 0, len(formatNames))
	for name := range formatNames {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func parseSteps(rest string) (steps []step, err error) {
	for rest != "" {
		var st step
		switch rest[0] {
		case '[':
			st, rest, err = parseIndex(rest)
		case '~':
			st, rest = step{kind: stepNested}, rest[1:]
		case '"':
			st, rest, err = parseQuoted(rest)
		default:
			st, rest, err = parseName(rest)
		}
		if err != nil {
			return nil, err
		}
		steps = append(steps, st)
		if rest, err = parseSeparator(rest, st.kind); err != nil {
			return nil, err
		}
	}
	return steps, nil
}

// parseSeparator skips the dot before the next step.
func parseSeparator(rest string, before stepKind) (string, error) {
	switch {
	case rest == "" || rest[0] == '[' || rest[0] == '~':
		return rest, nil
	case rest[0] == '.' && len(rest) > 1 && rest[1] != '[' && rest[1] != '~':
		return rest[1:], nil
	case rest[0] != '.' && before == stepNested:
		return rest, nil
	}
	return "", fmt.Errorf("a dot and a name must follow, not %q", rest)
}

func parseIndex(text string) (step, string, error) {
	digits, rest, found := strings.Cut(text[1:], "]")
	n, err := strconv.ParseUint(digits, 10, 16)
	if !found || err != nil || digits != strconv.FormatUint(n, 10) {
		return step{}, "", fmt.Errorf("%q must be a number in brackets, such as [0]", text)
	}
	return step{prefix: []byte(digits)}, rest, nil
}

func parseQuoted(text string) (step, string, error) {
	var name []byte
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '"' && len(name) > 0:
			return step{prefix: name}, text[i+1:], nil
		case text[i] == '\\' && i+1 < len(text):
			i++
		}
		name = append(name, text[i])
	}
	return step{}, "", fmt.Errorf("%q must be a name that ends with a quotation mark", text)
}

func parseName(text string) (step, string, error) {
	end := strings.IndexAny(text, `.[~"]`)
	if end < 0 {
		end = len(text)
	}
	name, rest := text[:end], text[end:]
	if name == "**" {
		return step{kind: stepDeep}, rest, nil
	}
	prefix, suffix, glob := strings.Cut(name, "*")
	switch {
	case name == "":
		return step{}, "", fmt.Errorf("there is no name at %q", text)
	case strings.Contains(suffix, "*"):
		return step{}, "", fmt.Errorf("%q has more than one *", name)
	case glob:
		return step{kind: stepGlob, prefix: []byte(prefix), suffix: []byte(suffix)}, rest, nil
	}
	return step{prefix: []byte(name)}, rest, nil
}

func checkSteps(steps []step) error {
	deep := 0
	for i, st := range steps {
		if st.kind != stepDeep {
			continue
		}
		deep++
		if i+1 == len(steps) || steps[i+1].kind == stepNested {
			return errors.New("the step to a member must follow **")
		}
	}
	switch {
	case len(steps) == 0:
		return errors.New("has no steps")
	case len(steps) > maxPathSteps:
		return fmt.Errorf("has more than %d steps", maxPathSteps)
	case deep > 1:
		return errors.New("has more than one **")
	}
	return nil
}

// isMember reports whether the step leads to some member.
func (st *step) isMember() bool { return st.kind == stepName || st.kind == stepGlob }

// names reports whether the step leads to the member with a name.
func (st *step) names(name []byte) bool {
	switch st.kind {
	case stepName:
		return bytes.Equal(name, st.prefix)
	case stepGlob:
		return len(name) >= len(st.prefix)+len(st.suffix) && bytes.HasPrefix(name, st.prefix) && bytes.HasSuffix(name, st.suffix)
	}
	return false
}

// counts reports whether the step leads to the member with a number for a name, as
// the members of lists have.
func (st *step) counts(n int64) bool {
	if st.kind == stepName && st.prefix[0] != '-' && (st.prefix[0] < '0' || st.prefix[0] > '9') {
		return false
	}
	var digits [20]byte
	return st.names(strconv.AppendInt(digits[:0], n, 10))
}
