package analysis

import (
	"bytes"
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"cairn/adminapi"
)

// levels is how deep members are told apart.
const levels = 2

// maxName is how many bytes of a member's name are shown.
const maxName = 64

// id is what looks like an id within a member's name.
var id = regexp.MustCompile(`[0-9a-fA-F]{12,}|^[0-9]+$`)

// weigh counts the members of a value that was decoded as JSON; nil: it was not.
func (g *group) weigh(value json.RawMessage) {
	if len(value) == 0 {
		return
	}
	g.decoded++
	g.decodedSize += int64(len(value))
	w := weigher{group: g, decoder: json.NewDecoder(bytes.NewReader(value))}
	w.decoder.UseNumber()
	w.value("", 0)
}

// weigher reads one value.
type weigher struct {
	group   *group
	decoder *json.Decoder
}

// value reads a value at a path and reports whether there was one.
func (w *weigher) value(path string, level int) bool {
	token, err := w.decoder.Token()
	if err != nil {
		return false
	}
	open, ok := token.(json.Delim)
	if !ok {
		return true
	}
	for w.decoder.More() {
		inner := path + "[]"
		if open == '{' {
			name, err := w.decoder.Token()
			if err != nil {
				return false
			}
			text, _ := name.(string)
			inner = strings.TrimPrefix(path+"."+shortName(text), ".")
		}
		begin := w.decoder.InputOffset()
		if level >= levels {
			inner = ""
		}
		if !w.value(inner, level+1) {
			return false
		}
		if level < levels {
			w.group.count(inner, w.decoder.InputOffset()-begin)
		}
	}
	_, err = w.decoder.Token()
	return err == nil
}

// shortName is a member's name without what tells one session's from another's.
func shortName(name string) string {
	name = id.ReplaceAllString(name, "*")
	if len(name) > maxName {
		return strings.ToValidUTF8(name[:maxName], "") + "…"
	}
	return name
}

// count adds size bytes, with what stands between, to a member.
func (g *group) count(path string, size int64) {
	m := g.members[path]
	if m == nil {
		if len(g.members) == maxMembers {
			return
		}
		m = &member{}
		g.members[path] = m
	}
	m.size += size
	if m.last != g.decoded {
		m.last = g.decoded
		m.values++
	}
}

func (g *group) shownMembers() []adminapi.MemberShare {
	shown := []adminapi.MemberShare{}
	for path, m := range g.members {
		shown = append(shown, adminapi.MemberShare{
			Path: path, Share: float64(m.size) / float64(g.decodedSize),
			Present: float64(m.values) / float64(g.decoded), Mean: m.size / m.values,
		})
	}
	slices.SortFunc(shown, func(x, y adminapi.MemberShare) int {
		return cmp.Or(cmp.Compare(y.Share, x.Share), cmp.Compare(x.Path, y.Path))
	})
	return shown[:min(len(shown), shownMembers)]
}
