package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSize(t *testing.T) {
	code, out, stderr := cairn("size --sessions 1000000 --rate 2000 --ttl 1d --bytes 2000")
	if code != exitOK || !strings.Contains(out, "cairn serve -m ") || !strings.Contains(out, "1000000 sessions") {
		t.Errorf("exit code %d: %s%s", code, out, stderr)
	}
	code, out, stderr = cairn("size --sessions 1000000 --rate 2000 --ttl 1d -o json")
	var report sizeReport
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitOK {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, stderr)
	}
	if report.Load.TTL != 24*3600 || report.Memory.Cache == 0 || report.Disk.Volume == 0 {
		t.Errorf("%+v", report)
	}
	// What it recommends is what serve takes.
	if code, out, stderr := cairn("config " + strings.Join(report.Flags, " ")); code != exitOK {
		t.Errorf("exit code %d: %s%s", code, out, stderr)
	}
	for _, wrong := range []string{"", "--sessions 5", "--sessions 0 --rate 1", "--sessions 5 --rate 1 --ttl soon", "--sessions 5 --rate 1 -o xml", "--sessions 5 --rate 1 more"} {
		if code, out, stderr := cairn("size " + wrong); code != exitUsage || stderr == "" {
			t.Errorf("size %s: exit code %d: %s%s", wrong, code, out, stderr)
		}
	}
}
