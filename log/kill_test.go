package log_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"cairn/log"
)

const childDir = "CAIRN_TEST_LOG"

// TestChild is not a test of its own: it is the process that TestKill kills. It
// writes what is durable to its standard output, one position a line.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	l, err := log.Open(childOptions(dir))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for {
				mu.Lock()
				p := appendAll(t, l, record(l.Next(), 2000))
				mu.Unlock()
				syncTo(t, l, p)
				fmt.Println(p)
				if p%50 == 0 && p > 500 {
					if err := l.Truncate(p - 400); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
}

func childOptions(dir string) log.Options {
	return log.Options{Dir: dir, SegmentSize: 128 << 10}
}

// A process that is killed at any moment loses nothing that it has called durable.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for round := range 8 {
		child := exec.CommandContext(ctx, os.Args[0], "-test.run", "^TestChild$")
		child.Env = append(os.Environ(), childDir+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		durable, lines := log.Position(0), bufio.NewScanner(out)
		for n := 50 + rand.N(300); lines.Scan(); n-- {
			p, err := strconv.ParseUint(lines.Text(), 10, 64)
			if err != nil {
				t.Fatalf("the child says %q", lines.Text())
			}
			durable = max(durable, log.Position(p))
			if n == 0 {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := child.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		l := open(t, childOptions(dir))
		if l.Next() <= durable {
			t.Fatalf("round %d: %d was durable, the next is %d", round, durable, l.Next())
		}
		expect(t, l, l.First(), l.Next()-1, 2000)
		mustClose(t, l)
	}
}
