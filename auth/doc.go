// Package auth decides who may use the memcached port. It knows user names,
// passwords and addresses, but no sockets: the connection hands over what its
// client sent and gets a verdict.
//
// Three nouns share the work. A UserFile holds the names and passwords, a
// Throttle slows down those who guess, and a Guard puts the two together and
// remembers who has been right before, so that a client which logs in anew for
// every request costs next to nothing.
package auth
