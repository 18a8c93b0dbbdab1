package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"cairn/adminapi"
)

// stopSignals ask for a clean stop; SIGUSR1 is memcached's name for it.
var stopSignals = []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1}

// reloader runs the hooks of SIGHUP: what reads a file again does it then.
type reloader struct {
	logger *slog.Logger

	mu    sync.Mutex
	hooks []hook
}

type hook struct {
	name string
	run  func() error
}

// add registers a hook; name says in the log what it reloads.
func (r *reloader) add(name string, run func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hooks = append(r.hooks, hook{name, run})
}

// reload runs every hook and returns how they ended. One that fails leaves what it had
// in place.
func (r *reloader) reload() (parts []adminapi.ReloadedPart) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.hooks {
		part := adminapi.ReloadedPart{What: h.name}
		if err := h.run(); err != nil {
			r.logger.Error("reload failed, the old one stays in use", "what", h.name, "error", err)
			part.Error = err.Error()
		} else {
			r.logger.Info("reloaded", "what", h.name)
		}
		parts = append(parts, part)
	}
	return parts
}

// handleSignals returns a context that ends with ctx or at the first stop
// signal; a second one ends the process at once. SIGHUP reloads, SIGUSR2 starts
// a successor. The caller calls release when it no longer wants signals handled.
func handleSignals(ctx context.Context, logger *slog.Logger, reload func() []adminapi.ReloadedPart, succeed func()) (stopping context.Context, release func()) {
	stopping, cancel := context.WithCancel(ctx)
	received := make(chan os.Signal, 4)
	signal.Notify(received, append([]os.Signal{syscall.SIGHUP, syscall.SIGUSR2}, stopSignals...)...)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case s := <-received:
				switch s {
				case syscall.SIGHUP:
					reload()
					continue
				case syscall.SIGUSR2:
					succeed()
					continue
				}
				logger.Info("stopping", "signal", s.String())
				signal.Reset(stopSignals...)
				cancel()
			case <-stopping.Done():
				return
			}
		}
	}()
	return stopping, func() {
		signal.Stop(received)
		cancel()
		<-done
	}
}
