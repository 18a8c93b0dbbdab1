package group

import (
	"context"
	"fmt"
	"log/slog"
)

// raftLogger lets raft write into the log. What raft calls a warning is of no use
// to operators, who are told of elections by this package.
type raftLogger struct{ to *slog.Logger }

func (l raftLogger) Debug(v ...any)                   {}
func (l raftLogger) Debugf(format string, v ...any)   {}
func (l raftLogger) Info(v ...any)                    { l.to.Debug("raft: " + fmt.Sprint(v...)) }
func (l raftLogger) Infof(format string, v ...any)    { l.debugf(format, v...) }
func (l raftLogger) Warning(v ...any)                 { l.to.Debug("raft: " + fmt.Sprint(v...)) }
func (l raftLogger) Warningf(format string, v ...any) { l.debugf(format, v...) }
func (l raftLogger) Error(v ...any)                   { l.to.Debug("raft: " + fmt.Sprint(v...)) }
func (l raftLogger) Errorf(format string, v ...any)   { l.debugf(format, v...) }
func (l raftLogger) Fatal(v ...any)                   { panic("raft: " + fmt.Sprint(v...)) }
func (l raftLogger) Fatalf(format string, v ...any)   { panic("raft: " + fmt.Sprintf(format, v...)) }
func (l raftLogger) Panic(v ...any)                   { panic("raft: " + fmt.Sprint(v...)) }
func (l raftLogger) Panicf(format string, v ...any)   { panic("raft: " + fmt.Sprintf(format, v...)) }

func (l raftLogger) debugf(format string, v ...any) {
	if l.to.Enabled(context.Background(), slog.LevelDebug) {
		l.to.Debug("raft: " + fmt.Sprintf(format, v...))
	}
}
