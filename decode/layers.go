package decode

// unwrap removes compression and the like and names it, outermost first.
func unwrap(value []byte, h Hints) (data []byte, layers []string) {
	return value, []string{}
}
