package main

import (
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"cairn/history"
)

// historyDir holds the figures of the past, in the data directory.
const historyDir = "history"

// newHistory makes the recorder of figures. It is started when there is a store.
func (s *server) newHistory() (*history.Recorder, error) {
	process := collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})
	return history.New(history.Options{
		Dir:     filepath.Join(s.cfg.DataDir, historyDir),
		Figures: []prometheus.Collector{s.store, frontView{s}, process},
		Logger:  s.logger,
	})
}
