package main

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"

	"cairn/cmd/cairn/config"
	"cairn/memory"
)

// proxyMemory is how many bytes a proxy uses at most by default.
const proxyMemory = 256 << 20

// wishesOf returns what cfg wishes of the memory there is.
func wishesOf(cfg *config.Config) memory.Wishes {
	wishes := memory.Wishes{
		Limit:   memory.Limit(),
		Total:   cfg.MemoryTotal,
		Cache:   cfg.Memory,
		Buffers: cfg.BufferMemory,
		Manual:  manualMemory,
	}
	if cfg.MemoryIsDefault() {
		wishes.Cache = memory.Unset
	}
	if cfg.Proxy() {
		wishes.Cache = 0
		if wishes.Total == 0 && wishes.Limit > 2*proxyMemory {
			wishes.Total = proxyMemory
		}
	}
	return wishes
}

// planMemory divides the memory that the server may use and says how. The Go
// runtime keeps to its part unless the environment has set goLimit, and to the
// plan's share of garbage unless it has set garbage. Settings that were cut show in
// cfg what they are now.
func planMemory(cfg *config.Config, goLimit, garbage string, logger *slog.Logger) *memory.Plan {
	wishes := wishesOf(cfg)
	plan := memory.NewPlan(wishes)
	for _, warning := range plan.Warnings {
		logger.Warn(warning)
	}
	if goLimit == "" {
		debug.SetMemoryLimit(plan.GoLimit)
		goLimit = memory.Size(plan.GoLimit)
	}
	if garbage == "" {
		debug.SetGCPercent(plan.Garbage)
	}
	logger.Info("memory", "allowed", memory.Size(wishes.Limit), "total", memory.Size(plan.Total),
		"hot sessions", memory.Size(plan.Cache), "buffers", memory.Size(plan.Buffers),
		"memtables", fmt.Sprintf("%d x %s", memory.MemtableCount, memory.Size(plan.Memtable)),
		"block cache", memory.Size(plan.BlockCache), "go limit", goLimit)
	cfg.MemoryTotal, cfg.Memory, cfg.BufferMemory = plan.Total, plan.Cache, plan.Buffers
	return plan
}

// resizeCache changes the memory for hot sessions, within the plan.
func (s *server) resizeCache(bytes int64) error {
	if bytes > s.memory.MaxCache {
		s.logger.Warn("cache_memlimit asks for more than fits into memory-total",
			"asked", memory.Size(bytes), "most", memory.Size(s.memory.MaxCache))
		return fmt.Errorf("%d bytes do not fit into memory-total", bytes)
	}
	return s.store.SetHotBytes(bytes)
}

// memorySettings are the parts of the plan as lines of "stats settings".
func (s *server) memorySettings() [][2]string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return [][2]string{
		{"memory_total", number(s.memory.Total)},
		{"memory_buffers", number(s.memory.Buffers)},
		{"memory_memtable", number(s.memory.Memtable)},
		{"memory_block_cache", number(s.memory.BlockCache)},
		{"memory_go_limit", number(debug.SetMemoryLimit(-1))},
	}
}
