package torture

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cairn/session"
)

// TestFullDisk fills a small file system of its own, first down to the reserve
// and then for real, under a running server. Writes are refused in words, the
// rest goes on, nothing acknowledged is lost, the log stays short, and the
// server recovers by itself when space returns.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, 320)
	s := newServer(t, "--disk-reserve", "100m")
	s.dir = filepath.Join(dir, "data")
	s.start()
	c, err := connect(s.sock, text{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	d := &diskFiller{t: t, c: c}

	ballast := filepath.Join(dir, "ballast")
	d.mustStore(100)
	grow(t, ballast, dir, 105<<20) // below the reserve, not full
	d.untilRefused()
	d.others()
	if err := os.Truncate(ballast, 0); err != nil {
		t.Fatal(err)
	}
	d.untilAccepted()

	grow(t, ballast, dir, 0) // full to the last byte
	d.untilRefused()
	for range rounds(5, 100) {
		d.others()
		d.refused()
	}
	s.mustRun(span(time.Second, 30*time.Second))
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	d.untilAccepted()
	s.kill()
	s.start()
	if d.c, err = connect(s.sock, text{}); err != nil {
		t.Fatal(err)
	}
	defer d.c.close()
	d.verify()
	d.mustStore(20)
	lines, written := s.log.count()
	if lines > 300 || written > 256<<10 {
		t.Errorf("a flood of %d lines, %d bytes in the log", lines, written)
	}
	figures(t, "%d writes acknowledged and found again, deletes and touches went on when the disk was full, %d lines of log", len(d.acknowledged), lines)
}

// TestFullDiskWithoutReserve lets a server fill its file system to the last byte.
// It refuses writes, or delays them, but it goes on, and what it acknowledged is
// there.
func TestFullDiskWithoutReserve(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, 64)
	ballast := filepath.Join(dir, "ballast")
	s := newServer(t, "--disk-reserve", "1")
	s.dir = filepath.Join(dir, "data")
	d := &diskFiller{t: t}
	outcomes := make(map[string]int)
	for range rounds(1, 10) {
		s.start()
		var err error
		if d.c, err = connect(s.sock, text{}); err != nil {
			t.Fatal(err)
		}
		d.mustStore(20)
		grow(t, ballast, dir, 4<<20)
		outcome := d.untilRefusedOrSilent()
		s.mustRun(0)
		d.c.close()
		s.kill()
		if lines, _ := s.log.count(); lines > 300 {
			t.Errorf("a flood of %d lines in the log", lines)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		s.start()
		if d.c, err = connect(s.sock, text{}); err != nil {
			t.Fatal(err)
		}
		d.verify()
		outcomes[outcome]++
		if answers, err := d.c.do([]session.Command{{Op: session.OpFlush}}, wallNow()); err != nil || answers[0].status != session.OK {
			t.Fatal(answers, err)
		}
		d.acknowledged = nil
		d.c.close()
		s.stop(20 * time.Second)
	}
	figures(t, "%v; everything acknowledged was found again", outcomes)
}

// smallDisk mounts a file system of so many megabytes until the test ends.
func smallDisk(t *testing.T, megabytes int) (dir string) {
	t.Helper()
	need(t, os.Getuid() == 0, "root, to mount a small file system")
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		need(t, false, "leave to mount a tmpfs: "+err.Error())
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// diskFiller stores values that do not compress and remembers them.
type diskFiller struct {
	t            *testing.T
	c            *client
	n            int
	acknowledged []int
}

func fillerKey(i int) []byte { return fmt.Appendf(nil, "filler%d", i) }

func fillerValue(i int) []byte {
	value := make([]byte, 32<<10)
	x := uint64(i)*0x9E3779B97F4A7C15 + 1
	for j := range value {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		value[j] = byte(x)
	}
	return value
}

// store writes one more value.
func (d *diskFiller) store() (answer, error) {
	d.n++
	c := session.Command{Op: session.OpSet, Key: fillerKey(d.n), Value: fillerValue(d.n), Expiry: session.Never}
	answers, err := d.c.do([]session.Command{c}, wallNow())
	if err != nil {
		return answer{}, err
	}
	if answers[0].status == session.OK {
		d.acknowledged = append(d.acknowledged, d.n)
	}
	return answers[0], nil
}

func (d *diskFiller) mustStore(n int) {
	d.t.Helper()
	for range n {
		if a, err := d.store(); err != nil || a.status != session.OK {
			d.t.Fatalf("store: %d %s %v", a.status, a.message, err)
		}
	}
}

// untilRefused stores until the server says no.
func (d *diskFiller) untilRefused() {
	d.t.Helper()
	for range 4000 {
		a, err := d.store()
		if err != nil {
			d.t.Fatal(err)
		}
		if a.status != session.OK {
			if !strings.HasPrefix(a.message, "SERVER_ERROR") {
				d.t.Errorf("refused with %d %q", a.status, a.message)
			}
			return
		}
		time.Sleep(2 * time.Millisecond) // the server looks at the space now and then
	}
	d.t.Fatal("the server never refused a write")
}

// others checks what goes on below the reserve: reads, touches, deletes.
func (d *diskFiller) others() {
	d.t.Helper()
	first := d.acknowledged[0]
	expiry := session.FromUnix(time.Now().Unix() + 3600)
	answers, err := d.c.do([]session.Command{
		{Op: session.OpGet, Key: fillerKey(first)},
		{Op: session.OpTouch, Key: fillerKey(first), Expiry: expiry},
		{Op: session.OpDelete, Key: fillerKey(first)},
		{Op: session.OpGet, Key: fillerKey(first)},
	}, wallNow())
	if err != nil {
		d.t.Fatal(err)
	}
	for i, want := range []session.Status{session.OK, session.OK, session.OK, session.NotFound} {
		if answers[i].status != want {
			d.t.Errorf("command %d below the reserve: %d %s, want %d", i, answers[i].status, answers[i].message, want)
		}
	}
	d.acknowledged = d.acknowledged[1:]
}

func (d *diskFiller) untilAccepted() {
	d.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if a, err := d.store(); err != nil {
			d.t.Fatal(err)
		} else if a.status == session.OK {
			return
		}
	}
	d.t.Fatal("the server did not recover when space returned")
}

func (d *diskFiller) untilRefusedOrSilent() string {
	for range 4000 {
		d.c.conn.SetDeadline(time.Now().Add(5 * time.Second))
		a, err := d.store()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return "writes were delayed"
		case err != nil:
			d.t.Fatal(err)
		case a.status != session.OK:
			return "writes were refused"
		}
	}
	d.t.Error("4000 writes fit on a full disk")
	return "?"
}

// refused checks that a value is refused.
func (d *diskFiller) refused() {
	d.t.Helper()
	if a, err := d.store(); err != nil || !strings.HasPrefix(a.message, "SERVER_ERROR") {
		d.t.Fatalf("a value on a full disk: %d %q %v", a.status, a.message, err)
	}
}

// mustRun checks for some time that the process has not ended.
func (s *server) mustRun(d time.Duration) {
	s.t.Helper()
	select {
	case <-s.done:
		s.t.Fatalf("the process ended: %v\n%s", s.err, s.log)
	case <-time.After(d):
	}
}

// verify reads everything that was acknowledged.
func (d *diskFiller) verify() {
	d.t.Helper()
	for _, i := range d.acknowledged {
		answers, err := d.c.do([]session.Command{{Op: session.OpGet, Key: fillerKey(i)}}, wallNow())
		if err != nil {
			d.t.Fatal(err)
		}
		if !bytes.Equal(answers[0].value, fillerValue(i)) {
			d.t.Fatalf("write %d was acknowledged, now: status %d, %d bytes", i, answers[0].status, len(answers[0].value))
		}
	}
}

// grow makes a file so large that only free bytes are left in dir.
func grow(t *testing.T, path, dir string, free uint64) {
	t.Helper()
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	available := stat.Bavail * uint64(stat.Bsize)
	if available > free {
		_, err = f.Write(make([]byte, available-free))
	}
	if err != nil && !errors.Is(err, syscall.ENOSPC) { // others write meanwhile
		t.Fatal(err)
	}
}
