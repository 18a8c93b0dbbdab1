package decode

import (
	"math/big"
	"slices"
	"strconv"
)

// maxFloat is the longest text of a float that is converted, in bytes.
const maxFloat = 1024

// maxLong is the longest integer converted, in bytes or digits: the effort
// grows with the square.
const maxLong = 1024

// longSize is the length of a long integer in bytes.
func longSize(n *big.Int) int { return n.BitLen()/8 + 1 }

// float converts a number's text; 0 after an error.
func (m *meter) float(text []byte) float64 {
	if len(text) > maxFloat {
		m.fail(errTooLarge)
	}
	if !m.spend(2*len(text)+headBytes, nodeSteps+inflateSteps*len(text)) {
		return 0
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		m.fail(errNotThis)
	}
	return f
}

// long converts a magnitude, lowest byte first; 0 after an error.
func (m *meter) long(magnitude []byte) *big.Int {
	if len(magnitude) > maxLong {
		m.fail(errTooLarge)
	}
	if !m.spend(2*len(magnitude)+nodeBytes, longSteps*len(magnitude)) {
		return new(big.Int)
	}
	b := slices.Clone(magnitude)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}
