package memory

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// The tightest group counts, whichever version it is of and however far above.
func TestGroupsLimit(t *testing.T) {
	const v2, v1 = "0::/a/b/c\n", "9:cpu:/a/b\n4:memory:/a/b\n0::/a\n"
	for name, test := range map[string]struct {
		groups string
		files  map[string]string
		want   int64
	}{
		"none":                  {v2, nil, math.MaxInt64},
		"own group":             {v2, map[string]string{"a/b/c/memory.max": "1000\n"}, 1000},
		"parent":                {v2, map[string]string{"a/b/c/memory.max": "max\n", "a/memory.max": "700\n"}, 700},
		"tightest":              {v2, map[string]string{"a/b/c/memory.max": "900\n", "a/b/memory.max": "800\n", "memory.max": "5000\n"}, 800},
		"inside a container":    {v2, map[string]string{"memory.max": "600\n"}, 600},
		"version 1":             {v1, map[string]string{"memory/a/b/memory.limit_in_bytes": "500\n"}, 500},
		"version 1, parent":     {v1, map[string]string{"memory/a/memory.limit_in_bytes": "400\n", "memory/memory.limit_in_bytes": "9223372036854771712\n"}, 400},
		"other controllers":     {v1, map[string]string{"cpu/a/b/memory.limit_in_bytes": "300\n"}, math.MaxInt64},
		"nonsense":              {"x\n::\n" + v2, map[string]string{"a/b/c/memory.max": "-1\n"}, math.MaxInt64},
		"both versions at once": {v1, map[string]string{"a/memory.max": "200\n", "memory/a/memory.limit_in_bytes": "400\n"}, 200},
	} {
		root := t.TempDir()
		for file, text := range test.files {
			path := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := groupsLimit(root, test.groups); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}
