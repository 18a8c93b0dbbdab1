package config

import (
	"errors"
	"fmt"
	"strings"

	"cairn/serve"
)

// Addresses are where to listen for memcached clients. As in memcached, a Unix
// socket turns TCP off; here addresses that are named all the same turn it on
// again. With a Port of 0, only addresses that name a port are left.
func (c *Config) Addresses() ([]serve.Address, error) {
	var all []serve.Address
	if c.UnixSocket != "" {
		all = append(all, serve.Address{Network: "unix", Addr: c.UnixSocket, Mode: c.UnixMask})
		if !c.flags.Changed("listen") {
			return all, nil
		}
	}
	tcp, err := serve.ParseListen(strings.Join(c.Listen, ","), c.Port)
	if err != nil {
		return nil, err
	}
	for _, a := range tcp {
		if c.Port != 0 || !strings.HasSuffix(a.Addr, ":0") {
			all = append(all, a)
		}
	}
	return all, nil
}

// defaultHTTPPort is that of addresses of the HTTP API that name none.
const defaultHTTPPort = 8211

// HTTPAddresses are where to listen for the HTTP API, none if it is off.
func (c *Config) HTTPAddresses() ([]serve.Address, error) {
	if !c.HTTP() {
		return nil, nil
	}
	addresses, err := serve.ParseListen(c.HTTPListen, defaultHTTPPort)
	if err != nil {
		return nil, fmt.Errorf("http-listen: %w", err)
	}
	for _, a := range addresses {
		if a.Plain {
			return nil, errors.New("http-listen: notls: is for memcached clients; leave out http-tls-cert instead")
		}
	}
	return addresses, nil
}
