package main

import (
	"fmt"
	"os"
	"syscall"

	"cairn/cluster"
	"cairn/cluster/proxy"
	"cairn/engine"
)

// keepElsewhere returns the opener of a proxy, which waits for no node.
func (s *server) keepElsewhere() (opener, error) {
	security, err := s.clusterSecurity()
	if err != nil {
		return nil, err
	}
	return func(o engine.Options, _ func(keeper, error)) (keeper, error) {
		p := proxy.Open(proxy.Options{
			Cluster:  s.cfg.ClusterName,
			Join:     s.cfg.Join,
			Security: security,
			Program:  version,
			Patience: s.cfg.Patience,
			MaxFrame: cluster.MaxFrame(o.MaxValueSize),
			Logger:   s.logger,
		})
		s.proxy.Store(p)
		return p, nil
	}, nil
}

// checkRuntimeDir reports why a proxy must not exchange anything with others in the
// directory of its socket: it may be in one that everybody writes to.
func (s *server) checkRuntimeDir() error {
	if !s.cfg.Proxy() {
		return nil
	}
	info, err := os.Lstat(s.cfg.DataDir)
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s is not a directory of this user alone", s.cfg.DataDir)
	}
	return nil
}
