package main

import (
	"io"
	"log/slog"
	"os"
	"sync"

	"cairn/cmd/cairn/config"
)

// newLogger gives the logger that cfg asks for, the level it can be changed
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

// logFile is a file that is appended to and can be opened again after it was
// moved away. It is safe for concurrent use.
type logFile struct {
	path string

	mu   sync.Mutex
	file *os.File
}

func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Write(line)
}

// Reopen opens the file of that name now. If it cannot, the one that is open
// stays in use.
func (l *logFile) Reopen() error {
	file, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
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
