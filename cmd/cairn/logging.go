package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"

	"cairn/cmd/cairn/config"
)

// newLogger returns the logger that cfg asks for, the level it can be changed
// by, and the file it writes to, which is nil for standard error.
func newLogger(cfg *config.Config, stderr io.Writer) (*slog.Logger, *slog.LevelVar, *logFile, error) {
	level := new(slog.LevelVar)
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		return nil, nil, nil, err
	}
	if cfg.Verbose > 0 {
		level.Set(min(level.Level(), slog.LevelDebug))
	}
	if cfg.LogFile == "" {
		return slog.New(newHandler(cfg.LogFormat, stderr, level)), level, nil, nil
	}
	file := &logFile{path: cfg.LogFile}
	if cfg.OwnLog {
		file.most = ownLogMost
		if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
			return nil, nil, nil, err
		}
	}
	if err := file.Reopen(); err != nil {
		return nil, nil, nil, err
	}
	return slog.New(newHandler(cfg.LogFormat, file, level)), level, file, nil
}

func newHandler(format string, w io.Writer, level slog.Leveler) slog.Handler {
	o := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}

// ownLogMost is how long a log in the data directory becomes, in bytes. With the
// one before it there is twice as much.
const ownLogMost = 32 << 20

// logFile is a file that is appended to and can be opened again after it was
// moved away. It is safe for concurrent use.
type logFile struct {
	path string

	// most is the length in bytes at which the file is moved away, to the same
	// name with ".1" behind it; 0: never. Such a file is in a directory that its
	// user may write to, so no symbolic link is followed there.
	most int64

	mu   sync.Mutex
	file *os.File
	size int64
}

func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.most > 0 && l.size >= l.most {
		if err := os.Rename(l.path, l.path+".1"); err == nil {
			_ = l.reopen() // else the log goes on where it is
		}
		l.size = 0 // do not try again with each line
	}
	n, err := l.file.Write(line)
	l.size += int64(n)
	return n, err
}

// Reopen opens the file of that name now. If it cannot, the one that is open
// stays in use.
func (l *logFile) Reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reopen()
}

// reopen is Reopen with l.mu held.
func (l *logFile) reopen() error {
	flags := os.O_APPEND | os.O_CREATE | os.O_WRONLY
	if l.most > 0 {
		flags |= syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	}
	file, err := os.OpenFile(l.path, flags, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && l.most > 0 && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", l.path)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	l.size = info.Size()
	if l.file != nil {
		l.file.Close()
	}
	l.file = file
	return nil
}

func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
