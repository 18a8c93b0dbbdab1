package owner

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	"cairn/decode"
)

// node is a value as decode shows it, its members in order.
type node struct {
	text    string // of a text or number
	isText  bool
	list    bool
	unclear bool // decode shows it elsewhere, or not as what it should be
	members []treeMember
}

type treeMember struct {
	name  string
	value *node
}

var treeFormats = map[format]decode.Format{
	formatJSON: decode.JSON, formatPHPSession: decode.PHPSession, formatPHPSerialize: decode.PHP,
	formatPHPBinary: decode.PHPBinary, formatIgbinary: decode.Igbinary, formatMessagePack: decode.MessagePack,
	formatPickle: decode.Pickle, formatMarshal: decode.Marshal, formatJava: decode.Java, formatMSM: decode.MSM,
}

// treeFind returns what a path leads to in the tree that decode makes of a value. It is
// not sure if decode does not read the value, or a part of it that the path leads into,
// or shows that part as being elsewhere.
func treeFind(value []byte, flags uint32, path Path) (ids []string, sure bool) {
	f := path.format.in(value)
	if f == unknown {
		return nil, false
	}
	w := treeWalk{sure: true}
	w.decoded(f, value, decode.Hints{Flags: flags}, path.steps)
	return w.ids, w.sure
}

type treeWalk struct {
	ids  []string
	sure bool
}

// decoded walks through the tree of a value in a format.
func (w *treeWalk) decoded(f format, value []byte, hints decode.Hints, steps []step) {
	view, err := decode.As(context.Background(), treeFormats[f], value, hints)
	if err != nil {
		w.sure = false
		return
	}
	root := parseTree(view.Value)
	switch {
	case f == formatMSM:
		root.msmParts()
	case f == formatJava && root.list && len(root.members) > 0: // a stream of several objects, or a list
		w.walk(root.members[0].value, steps)
	}
	w.walk(root, steps)
}

// msmParts makes principals that are streams of several objects stand for the first as
// well, and takes away what decode shows of parts that are not what they should be:
// those that are no Java streams, and attributes of another number than they say.
func (n *node) msmParts() {
	for i := range n.members {
		switch m := &n.members[i]; {
		case len(m.value.members) == 0:
		case m.value.members[0].name == "@format":
			m.value = &node{unclear: true}
		case m.name == "attributes" && m.value.list && !m.value.isPairs():
			m.value = &node{unclear: true}
		case m.name != "attributes" && m.value.list:
			n.members = append(n.members, treeMember{m.name, m.value.members[0].value})
		}
	}
}

func (w *treeWalk) walk(n *node, steps []step) {
	if n.unclear {
		w.sure = false
		return
	}
	if len(steps) == 0 {
		if n.text != "" {
			w.ids = append(w.ids, n.text)
		}
		return
	}
	if steps[0].kind == stepNested {
		w.nested(n, steps[1:])
		return
	}
	pairs := n.isPairs()
	for i, m := range n.members {
		if steps[0].kind == stepDeep {
			if leadsTo(&steps[1], n, i) {
				w.walk(m.value, steps[2:])
			}
			w.walk(m.value, steps)
		} else if leadsTo(&steps[0], n, i) {
			w.walk(m.value, steps[1:])
		}
		if pairs {
			w.pair(m.value.members[0].value, m.value.members[1].value, steps)
		}
	}
}

// pair walks from a key to its value.
func (w *treeWalk) pair(key, value *node, steps []step) {
	if steps[0].kind == stepDeep {
		steps = steps[1:] // the value is walked through as a member of a list
	}
	if steps[0].names([]byte(key.text)) {
		w.walk(value, steps[1:])
	}
}

// isPairs reports whether n may be a map: decode shows one with a key that is no
// scalar as a list of keys and values.
func (n *node) isPairs() bool {
	for _, m := range n.members {
		if !n.list || !m.value.list || len(m.value.members) != 2 {
			return false
		}
	}
	return len(n.members) > 0
}

func leadsTo(st *step, n *node, i int) bool {
	if n.list {
		return st.counts(int64(i))
	}
	return st.names([]byte(n.members[i].name))
}

func (w *treeWalk) nested(n *node, steps []step) {
	f := recognise([]byte(n.text))
	if n.isText && f != unknown {
		w.decoded(f, []byte(n.text), decode.Hints{}, steps)
	}
}

func parseTree(value json.RawMessage) *node {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	return parseNode(d)
}

func parseNode(d *json.Decoder) *node {
	token, err := d.Token()
	if err != nil {
		return &node{}
	}
	switch token := token.(type) {
	case string:
		return &node{text: token, isText: true}
	case json.Number:
		if strings.ContainsAny(token.String(), ".eE") {
			return &node{}
		}
		return &node{text: token.String()}
	case json.Delim:
		n := &node{list: token == '['}
		for d.More() {
			name := ""
			if !n.list {
				t, _ := d.Token()
				name, _ = t.(string)
			}
			n.members = append(n.members, treeMember{name, parseNode(d)})
		}
		d.Token()
		return n.simple()
	}
	return &node{}
}

// simple resolves decode's notes.
func (n *node) simple() *node {
	if n.list || len(n.members) == 0 {
		return n
	}
	if only := n.members[0]; len(n.members) == 1 {
		switch only.name {
		case "@bytes":
			text, err := base64.StdEncoding.DecodeString(only.value.text)
			if err == nil {
				return &node{text: string(text), isText: true}
			}
		case "@ref":
			return &node{unclear: true}
		}
	}
	if first := n.members[0]; first.name == "@class" && kindOf([]byte(first.value.text)) == javaMap {
		return &node{unclear: true} // keys without values: decode shows it as an object
	}
	for i := range n.members {
		m := &n.members[i]
		if m.name == "@value" && len(n.members) == 2 {
			return m.value
		}
		m.name = plainName(m.name)
	}
	n.undouble()
	return n
}

// undouble takes away the number that decode adds to a name that is there already.
func (n *node) undouble() {
	names := map[string]bool{}
	for i := range n.members {
		m := &n.members[i]
		if plain, _, ok := strings.Cut(m.name, " ("); ok && names[plain] {
			m.name = plain
		}
		names[m.name] = true
	}
}

// plainName is a member's name without what decode adds to it.
func plainName(name string) string {
	if encoded, ok := strings.CutPrefix(name, "@bytes "); ok {
		if raw, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			return string(raw)
		}
	}
	if plain, ok := strings.CutSuffix(name, ":protected"); ok {
		return plain
	}
	if plain, ok := strings.CutSuffix(name, ":private"); ok {
		if i := strings.LastIndexByte(plain, ':'); i >= 0 {
			return plain[:i]
		}
	}
	return name
}
