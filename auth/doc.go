// Package auth decides who may use a port. It knows users, passwords and
// origins, but no sockets: the connection hands over what its client sent and
// gets a verdict.
//
// A UserFile holds the names and passwords of memcached clients. A Guard checks
// what they send and remembers who has been right before, so that a client that
// logs in anew for every request costs next to nothing. A Pace bounds how often
// something may be tried, and lets origins take turns where they have to wait; a
// Throttle is one Pace for each origin. Guard and the HTTP API's tokens share
// them.
package auth
