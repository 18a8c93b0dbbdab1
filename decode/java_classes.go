package decode

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"time"
)

// simplifyJava shows objects of well-known classes as what they mean. Others
// get what they wrote by themselves, custom, as @data.
func (m *meter) simplifyJava(o *object, custom []any) any {
	class, _ := o.members[0].value.(string)
	if simplify, ok := javaClasses[class]; ok {
		if v, ok := simplify(m, o, custom); ok {
			return v
		}
	}
	if len(custom) > 0 {
		o.add("@data", newList(m, custom))
	}
	return o
}

// javaClasses are the well-known classes. Their functions report false if an
// object is not what they expect.
var javaClasses = map[string]func(m *meter, o *object, custom []any) (any, bool){
	"java.lang.Boolean":   javaBox,
	"java.lang.Byte":      javaBox,
	"java.lang.Character": javaBox,
	"java.lang.Double":    javaBox,
	"java.lang.Float":     javaBox,
	"java.lang.Integer":   javaBox,
	"java.lang.Long":      javaBox,
	"java.lang.Short":     javaBox,

	"java.math.BigInteger": javaBigInteger,
	"java.util.Date":       javaDate,
	"java.sql.Timestamp":   javaDate,
	"java.time.Ser":        javaInstant,
	"java.util.UUID":       javaUUID,

	"java.util.ArrayDeque":    javaList,
	"java.util.ArrayList":     javaList,
	"java.util.HashSet":       javaList,
	"java.util.LinkedHashSet": javaList,
	"java.util.LinkedList":    javaList,
	"java.util.TreeSet":       javaTreeSet,
	"java.util.CollSer":       javaImmutable,

	"java.util.HashMap":                      javaMap,
	"java.util.Hashtable":                    javaMap,
	"java.util.LinkedHashMap":                javaMap,
	"java.util.TreeMap":                      javaMap,
	"java.util.concurrent.ConcurrentHashMap": javaMap,
}

// member returns the value of a member, or nil.
func (o *object) member(name string) any {
	for _, m := range o.members {
		if m.key == name {
			return m.value
		}
	}
	return nil
}

// javaBox unpacks the only field of a boxed primitive.
func javaBox(_ *meter, o *object, _ []any) (any, bool) {
	return o.members[len(o.members)-1].value, len(o.members) == 2
}

func javaBigInteger(m *meter, o *object, _ []any) (any, bool) {
	magnitude, ok := o.member("magnitude").(string)
	sign, isInt := o.member("signum").(int64)
	if !ok || !isInt || len(magnitude) > maxLong || !m.spend(2*len(magnitude), longSteps*len(magnitude)) {
		return nil, false
	}
	n := new(big.Int).SetBytes([]byte(magnitude))
	if sign < 0 {
		n.Neg(n)
	}
	return n, true
}

func javaDate(m *meter, _ *object, custom []any) (any, bool) {
	if len(custom) == 0 {
		return nil, false
	}
	block, ok := custom[0].(javaBlock)
	if !ok || len(block) != 8 {
		return nil, false
	}
	return timestamp(int64(binary.BigEndian.Uint64(block))), true
}

// javaInstant unpacks a java.time.Instant, kind 2 of the classes that
// java.time.Ser stands in for.
func javaInstant(m *meter, _ *object, custom []any) (any, bool) {
	if len(custom) != 1 {
		return nil, false
	}
	block, ok := custom[0].(javaBlock)
	if !ok || len(block) != 13 || block[0] != 2 {
		return nil, false
	}
	seconds := int64(binary.BigEndian.Uint64(block[1:]))
	nanos := int64(binary.BigEndian.Uint32(block[9:]))
	return time.Unix(seconds, nanos).UTC().Format(time.RFC3339Nano), true
}

func javaUUID(m *meter, o *object, _ []any) (any, bool) {
	high, ok1 := o.member("mostSigBits").(int64)
	low, ok2 := o.member("leastSigBits").(int64)
	h, l := uint64(high), uint64(low)
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x",
		h>>32, h>>16&0xffff, h&0xffff, l>>48, l&0xffff_ffff_ffff), ok1 && ok2
}

func javaList(m *meter, _ *object, custom []any) (any, bool) {
	return newList(m, withoutBlocks(m, custom)), true
}

// javaTreeSet leaves out the comparator.
func javaTreeSet(m *meter, o *object, custom []any) (any, bool) {
	if len(custom) == 0 {
		return nil, false
	}
	return javaList(m, o, custom[1:])
}

// javaMap builds a map of keys and values. A ConcurrentHashMap ends with a
// pair of nulls.
func javaMap(m *meter, _ *object, custom []any) (any, bool) {
	entries := withoutBlocks(m, custom)
	if n := len(entries); n >= 2 && entries[n-1] == nil && entries[n-2] == nil {
		entries = entries[:n-2]
	}
	return newMapping(m, entries), len(entries)%2 == 0
}

// javaImmutable unpacks what List.of, Set.of and Map.of make.
func javaImmutable(m *meter, o *object, custom []any) (any, bool) {
	const mapTag = 3
	tag, ok := o.member("tag").(int64)
	if ok && tag&0xff == mapTag {
		return javaMap(m, o, custom)
	}
	list, _ := javaList(m, o, custom)
	return list, ok
}

func withoutBlocks(m *meter, custom []any) []any {
	var rest []any
	for _, v := range custom {
		if _, ok := v.(javaBlock); !ok {
			rest = push(m, rest, v)
		}
	}
	return rest
}
