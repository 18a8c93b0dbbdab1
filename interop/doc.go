// Package interop proves that unmodified memcached clients, in their own
// languages, keep their sessions in a running Cairn.
//
// Every test starts the real binary on a free port with a data directory of
// its own, and real client programs beside it: what one process wrote another
// reads, it survives kill -9 of the server, and it is gone after its expiry.
// install.sh fetches what they need.
package interop
