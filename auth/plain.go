package auth

import (
	"bytes"
	"errors"
)

// ErrMalformed is the error of a message that carries no usable credentials.
var ErrMalformed = errors.New("auth: malformed credentials")

// ParsePlain takes the message of the SASL mechanism PLAIN apart (RFC 4616):
// an optional identity to act as, the user and the password, with a zero byte
// between them. Acting as somebody else is refused. The results alias message.
func ParsePlain(message []byte) (user, password []byte, err error) {
	parts := bytes.SplitN(message, []byte{0}, 4)
	if len(parts) != 3 {
		return nil, nil, ErrMalformed
	}
	actAs, user, password := parts[0], parts[1], parts[2]
	if len(actAs) > 0 && !bytes.Equal(actAs, user) {
		return nil, nil, ErrMalformed
	}
	return user, password, validate(user, password)
}

// ParseToken takes the value of the first set of a text connection apart, as
// memcached's --auth-file defines it: the user, a space and the password. The
// results alias token.
func ParseToken(token []byte) (user, password []byte, err error) {
	user, password, found := bytes.Cut(token, []byte{' '})
	if !found {
		return nil, nil, ErrMalformed
	}
	return user, password, validate(user, password)
}

func validate(user, password []byte) error {
	if len(user) == 0 || len(password) == 0 || len(user) > MaxFieldLen || len(password) > MaxFieldLen {
		return ErrMalformed
	}
	return nil
}
