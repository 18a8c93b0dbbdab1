package disk

import (
	"errors"
	"runtime"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Who has left the store changes nothing in it.
func TestLeaving(t *testing.T) {
	o := testOptions(t, vfs.NewMem())
	d := open(t, o)
	d.fillLogs(t)
	if err := d.db.Flush(); err != nil {
		t.Fatal(err)
	}
	for !d.IsTidy(d.db.Metrics()) {
		runtime.Gosched()
	}
	fs := leavingFS{o.FS, &d.leaving}
	other, err := fs.Create("data/other", "test")
	if err != nil {
		t.Fatal(err)
	}
	left := d.Leave()
	d.close(t)
	select {
	case <-left:
		t.Fatal("it was left with a file open to be written")
	default:
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	<-left
	_, created := fs.Create("data/new", "test")
	_, reopened := fs.OpenReadWrite("data/other", "test")
	_, reused := fs.ReuseForWrite("data/other", "data/new", "test")
	for what, err := range map[string]error{
		"Create": created, "OpenReadWrite": reopened, "ReuseForWrite": reused,
		"Link": fs.Link("data/other", "data/new"), "Rename": fs.Rename("data/other", "data/new"),
		"Remove": fs.Remove("data/other"), "RemoveAll": fs.RemoveAll("data"), "MkdirAll": fs.MkdirAll("data/new", 0o700),
	} {
		if !errors.Is(err, errLeft) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if names, err := o.FS.List("data"); err != nil || len(names) == 0 {
		t.Errorf("what is left: %q, %v", names, err)
	}
}
