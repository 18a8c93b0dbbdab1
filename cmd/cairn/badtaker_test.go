package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"cairn/serve"
	"cairn/takeover"
)

// badTaker is a taker that fails once the store in dir is its own.
func badTaker(dir string) error {
	taker, err := takeover.Dial(context.Background(), takeover.TakerOptions{
		Path: filepath.Join(dir, takeover.SocketName), Dialects: []string{serve.StateFormat},
	})
	if err != nil {
		return err
	}
	if conns, err := taker.Receive(); err != nil || len(conns) != 1 {
		return fmt.Errorf("%d connections, %w", len(conns), err)
	}
	if code, out, stderr := cairn("check --data-dir " + dir); code != exitOK {
		return fmt.Errorf("the store is not free: exit code %d, %s%s", code, out, stderr)
	}
	taker.Fail(errors.New("the disk of the test is broken"))
	return nil
}
