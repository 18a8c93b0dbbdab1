package main

import (
	"fmt"
	"log/slog"
	"os"
)

// pidFile is the file with the id of the process that serves. It is opened
// before the process gives up rights, and written when it serves.
type pidFile struct {
	file *os.File // nil: there is none
	ours bool     // this process is the one in it
}

// openPIDFile opens the file at path, unless that is "". A process that takes a
// server over may lack the right to: its predecessor may have been started by
// root. Then the file stays as it is.
func openPIDFile(path string, takeOver bool, logger *slog.Logger) (*pidFile, error) {
	if path == "" {
		return &pidFile{}, nil
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil && takeOver {
		logger.Warn("the pid file still names the previous process", "error", err)
		return &pidFile{}, nil
	}
	return &pidFile{file: file}, err
}

func (p *pidFile) write() error {
	if p.file == nil {
		return nil
	}
	p.ours = true
	if err := p.file.Truncate(0); err != nil {
		return err
	}
	_, err := p.file.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	return err
}

// leave leaves the file to the next process.
func (p *pidFile) leave() {
	if p.file != nil {
		p.file.Close()
		p.file = nil
	}
}

// close removes the file if it names this process, or nobody.
func (p *pidFile) close() {
	if p.file == nil {
		return
	}
	info, err := p.file.Stat()
	if p.ours || err == nil && info.Size() == 0 {
		os.Remove(p.file.Name())
	}
	p.file.Close()
}
