package memory

import (
	"math"
	"strings"
	"testing"
)

const (
	mb = 1 << 20
	gb = 1 << 30
)

func TestPlan(t *testing.T) {
	for name, test := range map[string]struct {
		wishes Wishes
		want   Plan   // in MB, rounded down, without Warnings
		warns  string // words of the warnings
	}{
		"machine of 8 GB": {
			Wishes{Limit: 8 * gb, Cache: Unset},
			Plan{Total: 4915, Cache: 256, MaxCache: 3203, Buffers: 983, Memtable: 32, BlockCache: 32, GoLimit: 4915}, ""},
		"-m as given": {
			Wishes{Limit: 8 * gb, Cache: 1 * gb},
			Plan{Total: 4915, Cache: 1024, MaxCache: 3203, Buffers: 983, Memtable: 32, BlockCache: 32, GoLimit: 4915}, ""},
		"little for hot sessions": {
			Wishes{Limit: 8 * gb, Cache: 64 * mb},
			Plan{Total: 4915, Cache: 64, MaxCache: 3343, Buffers: 983, Memtable: 4, BlockCache: 4, GoLimit: 4915, Garbage: 25}, ""},
		"less than little for hot sessions": {
			Wishes{Limit: 8 * gb, Cache: 1 * mb},
			Plan{Total: 4915, Cache: 1, MaxCache: 3343, Buffers: 983, Memtable: 4, BlockCache: 4, GoLimit: 4915, Garbage: 25}, ""},
		"half of what is plenty for hot sessions": {
			Wishes{Limit: 8 * gb, Cache: 256 * mb},
			Plan{Total: 4915, Cache: 256, MaxCache: 3283, Buffers: 983, Memtable: 16, BlockCache: 16, GoLimit: 4915}, ""},
		"little for hot sessions, of a given total": {
			Wishes{Limit: 8 * gb, Total: 1 * gb, Cache: 64 * mb},
			Plan{Total: 1024, Cache: 64, MaxCache: 528, Buffers: 204, Memtable: 32, BlockCache: 32, GoLimit: 1024}, ""},
		"no cache": {
			Wishes{Limit: 8 * gb},
			Plan{Total: 4915, Cache: 0, MaxCache: 3203, Buffers: 983, Memtable: 32, BlockCache: 32, GoLimit: 4915}, ""},
		"-m that buffers make room for": {
			Wishes{Limit: 8 * gb, Cache: 3 * gb},
			Plan{Total: 4915, Cache: 3072, MaxCache: 3203, Buffers: 438, Memtable: 32, BlockCache: 32, GoLimit: 4915}, ""},
		"-m 4096 in 1 GB": {
			Wishes{Limit: 1 * gb, Cache: 4 * gb},
			Plan{Total: 614, Cache: 311, MaxCache: 311, Buffers: 38, Memtable: 19, BlockCache: 19, GoLimit: 614}, "hot sessions of 4 GiB is cut to 311.4 MiB"},
		"512 MB": {
			Wishes{Limit: 512 * mb, Cache: Unset},
			Plan{Total: 307, Cache: 107, MaxCache: 150, Buffers: 61, Memtable: 9, BlockCache: 9, GoLimit: 307}, ""},
		"256 MB": {
			Wishes{Limit: 256 * mb, Cache: Unset},
			Plan{Total: 153, Cache: 54, MaxCache: 75, Buffers: 30, Memtable: 4, BlockCache: 4, GoLimit: 153}, ""},
		"128 MB": {
			Wishes{Limit: 128 * mb, Cache: Unset},
			Plan{Total: 76, Cache: 27, MaxCache: 37, Buffers: 15, Memtable: 2, BlockCache: 2, GoLimit: 76}, ""},
		"64 MB": {
			Wishes{Limit: 64 * mb, Cache: Unset},
			Plan{Total: 38, Cache: 13, MaxCache: 17, Buffers: 7, Memtable: 1, BlockCache: 1, GoLimit: 38}, ""},
		"16 MB": {
			Wishes{Limit: 16 * mb, Cache: Unset},
			Plan{Total: 32, Cache: 10, MaxCache: 13, Buffers: 6, Memtable: 1, BlockCache: 1, GoLimit: 32}, "less than the 32 MiB"},
		"total as given": {
			Wishes{Limit: 8 * gb, Total: 1 * gb, Cache: Unset},
			Plan{Total: 1024, Cache: 256, MaxCache: 528, Buffers: 204, Memtable: 32, BlockCache: 32, GoLimit: 1024}, ""},
		"total too large": {
			Wishes{Limit: 1 * gb, Total: 2 * gb, Cache: Unset},
			Plan{Total: 921, Cache: 256, MaxCache: 477, Buffers: 184, Memtable: 28, BlockCache: 28, GoLimit: 921}, "memory-total of 2 GiB is cut to 921.6 MiB"},
		"total too small": {
			Wishes{Limit: 1 * gb, Total: 1 * mb, Cache: Unset},
			Plan{Total: 32, Cache: 10, MaxCache: 13, Buffers: 6, Memtable: 1, BlockCache: 1, GoLimit: 32}, "raised to 32 MiB"},
		"buffers as given": {
			Wishes{Limit: 8 * gb, Cache: Unset, Buffers: 64 * mb},
			Plan{Total: 4915, Cache: 256, MaxCache: 3446, Buffers: 64, Memtable: 32, BlockCache: 32, GoLimit: 4915}, ""},
		"buffers and cache too large": {
			Wishes{Limit: 512 * mb, Cache: 1 * gb, Buffers: 1 * gb},
			Plan{Total: 307, Cache: 107, MaxCache: 107, Buffers: 61, Memtable: 9, BlockCache: 9, GoLimit: 307}, "buffer-memory of 1 GiB is cut to 61.4 MiB"},
		"memory outside of Go's heap": {
			Wishes{Limit: 8 * gb, Cache: Unset, Manual: true},
			Plan{Total: 4915, Cache: 256, MaxCache: 3203, Buffers: 983, Memtable: 32, BlockCache: 32, GoLimit: 4755}, ""},
	} {
		p := NewPlan(test.wishes)
		if test.want.Garbage == 0 {
			test.want.Garbage = 50
		}
		got := Plan{Total: p.Total / mb, Cache: p.Cache / mb, MaxCache: p.MaxCache / mb, Buffers: p.Buffers / mb,
			Memtable: p.Memtable / mb, BlockCache: p.BlockCache / mb, GoLimit: p.GoLimit / mb, Garbage: p.Garbage}
		if !same(&got, &test.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, test.want)
		}
		if text := strings.Join(p.Warnings, "; "); !strings.Contains(text, test.warns) || test.warns == "" && text != "" {
			t.Errorf("%s: warnings %q, want %q", name, text, test.warns)
		}
	}
}

func same(a, b *Plan) bool {
	return a.Total == b.Total && a.Cache == b.Cache && a.MaxCache == b.MaxCache && a.Buffers == b.Buffers &&
		a.Memtable == b.Memtable && a.BlockCache == b.BlockCache && a.GoLimit == b.GoLimit && a.Garbage == b.Garbage
}

// Whatever is asked for, the parts leave a quarter of the total to garbage, and
// the total a tenth of the limit to the kernel.
func TestPlanFits(t *testing.T) {
	sizes := []int64{Unset, 0, 1, mb, 50 * mb, 200 * mb, gb, 5 * gb, 100 * gb, math.MaxInt64}
	for _, limit := range sizes[5:] {
		for _, total := range sizes[1:] {
			for _, cache := range sizes {
				for _, buffers := range sizes[1:] {
					p := NewPlan(Wishes{Limit: limit, Total: total, Cache: cache, Buffers: buffers})
					sum := p.Cache + p.Buffers + MemtableCount*p.Memtable + p.BlockCache
					if p.Total > limit/10*9 || sum > p.Total/4*3 || p.Cache > p.MaxCache ||
						min(p.Cache, p.Buffers) < 0 || min(p.Memtable, p.BlockCache, p.GoLimit) <= 0 {
						t.Fatalf("limit %d, total %d, cache %d, buffers %d: %+v", limit, total, cache, buffers, *p)
					}
				}
			}
		}
	}
}
