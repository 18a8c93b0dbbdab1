package httpapi

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"cairn/adminapi"
	"cairn/backup"
	"cairn/processors"
)

const backupPath = "/v1/backup"

type backupInput struct {
	Ticket string `query:"ticket" doc:"Stands in for a token, see create-backup-ticket."`
}

func (s *Server) backup(ctx context.Context, _ *backupInput) (*huma.StreamResponse, error) {
	if !s.backups.tryAcquire() {
		return nil, huma.Error429TooManyRequests("another backup is running")
	}
	dir, err := s.checkpoint()
	if err != nil {
		s.backups.release()
		return nil, huma.Error503ServiceUnavailable("checkpoint failed", err)
	}
	note(ctx, "backup")
	created := time.Now().UTC()
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		defer s.backups.release()
		defer os.RemoveAll(dir)
		processors.Begin()
		defer processors.End()
		hctx.SetHeader("Content-Type", "application/zstd")
		hctx.SetHeader("Content-Disposition",
			fmt.Sprintf(`attachment; filename="cairn-%s.tar.zst"`, created.Format("20060102-150405")))
		hctx.SetStatus(http.StatusOK)
		out := bufio.NewWriterSize(hctx.BodyWriter(), streamBuffer)
		err := backup.Write(out, dir, backup.Info{Created: created, Version: s.options.Version})
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			s.logger.Error("backup stopped", "error", err)
			panic(http.ErrAbortHandler) // so that the client sees it is not whole
		}
	}}, nil
}

// checkpoint makes a copy of the store in the scratch directory.
func (s *Server) checkpoint() (dir string, err error) {
	if s.options.ScratchDir == "" {
		return "", errors.New("no scratch directory is configured")
	}
	if err := os.MkdirAll(s.options.ScratchDir, 0o700); err != nil {
		return "", err
	}
	dir = filepath.Join(s.options.ScratchDir, "backup-"+rand.Text())
	if err := s.engine.Checkpoint(dir); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// removeOldCheckpoints removes what backups left behind when the process died.
func (s *Server) removeOldCheckpoints() {
	if s.options.ScratchDir == "" {
		return
	}
	left, _ := filepath.Glob(filepath.Join(s.options.ScratchDir, "backup-*"))
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			s.logger.Warn("cannot remove an old checkpoint", "error", err)
		}
	}
}

const (
	ticketLife = time.Minute
	maxTickets = 64 // at once
)

// ticketBook knows the tickets that were given out and not used.
type ticketBook struct {
	mu      sync.Mutex
	tickets map[string]ticket
}

type ticket struct {
	name    string // of the caller it was given to
	expires time.Time
}

// issue returns a new ticket, or reports false if too many are out.
func (b *ticketBook) issue(name string, now time.Time) (id string, expires time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for old, t := range b.tickets {
		if !now.Before(t.expires) {
			delete(b.tickets, old)
		}
	}
	if len(b.tickets) >= maxTickets {
		return "", time.Time{}, false
	}
	if b.tickets == nil {
		b.tickets = map[string]ticket{}
	}
	random := make([]byte, 32)
	rand.Read(random)
	id, expires = hex.EncodeToString(random), now.Add(ticketLife)
	b.tickets[id] = ticket{name: name, expires: expires}
	return id, expires, true
}

// use takes a ticket and gives the name of its owner.
func (b *ticketBook) use(id string, now time.Time) (name string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t, ok := b.tickets[id]
	delete(b.tickets, id)
	return t.name, ok && now.Before(t.expires)
}

type ticketOutput struct{ Body adminapi.BackupTicket }

func (s *Server) createTicket(ctx context.Context, _ *struct{}) (*ticketOutput, error) {
	id, expires, ok := s.tickets.issue(recordOf(ctx).caller.name, time.Now())
	if !ok {
		return nil, huma.Error429TooManyRequests("too many tickets are out")
	}
	note(ctx, "backup ticket")
	return &ticketOutput{Body: adminapi.BackupTicket{Path: backupPath + "?ticket=" + id, Expires: expires.UTC()}}, nil
}

// ticketHolder recognises a backup request by its ticket.
func (s *Server) ticketHolder(r *http.Request) (caller, bool) {
	id := r.URL.Query().Get("ticket")
	if r.URL.Path != backupPath || r.Method != http.MethodGet || id == "" {
		return caller{}, false
	}
	name, ok := s.tickets.use(id, time.Now())
	return caller{name: name + " (ticket)", scope: ScopeAdmin}, ok
}
