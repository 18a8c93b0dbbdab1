package owner

// msmMembers are what the manager's sessions have.
var msmMembers = [][]byte{[]byte("principal"), []byte("saved_principal"), []byte("attributes")}

// msm reads a session of memcached-session-manager: a header of fixed fields, then the
// attributes as JavaSerializationTranscoder writes them. The layout is that of its
// TranscoderService, versions 1 and 2. The members are principal, saved_principal and
// attributes. Those of a principal in which it wrote a name have that for their value.
func (c *cursor) msm() bool {
	version, length := c.u16(), c.u16()
	if version != 1 && version != 2 || length > len(c.data) || length < c.pos {
		return false
	}
	header := cursor{data: c.data[:length], pos: c.pos}
	header.take(8 + 8 + 4 + 1 + 1 + 8 + 8) // times, and what it says of its state
	header.take(header.u16())              // the session's id
	header.u16()                           // how it was authenticated
	principal := header.take(header.u16())
	var savedPrincipal []byte
	if version > 1 {
		header.take(header.u16()) // the saved request
		savedPrincipal = header.take(header.u16())
	}
	st := &c.steps[0]
	switch {
	case header.bad:
		return false
	case st.names([]byte("principal")) && c.enter(formatJava, 1, principal):
		return true
	case st.names([]byte("saved_principal")) && c.enter(formatJava, 1, savedPrincipal):
		return true
	}
	return st.names([]byte("attributes")) && c.enter(formatMSMAttributes, 1, c.data[length:])
}

// msmAttributes reads the attributes: their number, then each one's name and value.
func (c *cursor) msmAttributes() bool {
	if !isJava(c.data) {
		return false
	}
	c.format = formatJava
	c.pos = 4
	if !c.value(len(c.steps)) || !c.copied { // what is an integer is copied
		return false
	}
	n, _ := parseInt(c.id)
	c.id, c.copied = nil, false
	for ; n > 0 && c.more(); n-- {
		if c.javaPair(0, javaObject) {
			return true
		}
	}
	return false
}
