package httpapi

import (
	"bytes"
	"context"
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"cairn/adminapi"
	"cairn/owners"
	"cairn/session"
)

// maxOwnerID bounds the ids of users in requests, in bytes: longer ones than the store
// keeps stand for their hashes.
const maxOwnerID = 1 << 10

// Owners are the users that have sessions, as an operator sees them.
type Owners interface {
	// List calls fn for the owners that begin with prefix and come after `after`
	// (nil: all), as session.Owned has them, until fn returns false.
	List(ctx context.Context, prefix, after []byte, fn func(*session.OwnerSummary) bool) error

	// Summary counts the sessions of the owner with that id, or that hash.
	Summary(ctx context.Context, id []byte) (session.OwnerSummary, error)

	// Sessions calls fn for those after the key `after` (nil: all), keys ascending,
	// until fn returns false. The item is valid during the call only.
	Sessions(ctx context.Context, id, after []byte, values bool, fn func(*session.Item) bool) error

	// Kick ends sessions.
	Kick(ctx context.Context, k owners.Kick) (owners.Kicked, error)

	// Complete reports whether the owners of all stored sessions are known.
	Complete() bool
}

// noOwners stands in where owners are not known.
type noOwners struct{}

func (noOwners) List(context.Context, []byte, []byte, func(*session.OwnerSummary) bool) error {
	return nil
}

func (noOwners) Summary(context.Context, []byte) (o session.OwnerSummary, err error) { return o, nil }

func (noOwners) Sessions(context.Context, []byte, []byte, bool, func(*session.Item) bool) error {
	return nil
}

func (noOwners) Kick(context.Context, owners.Kick) (k owners.Kicked, err error) { return k, nil }
func (noOwners) Complete() bool                                                 { return true }

func newOwner(o *session.OwnerSummary) adminapi.Owner {
	owner := adminapi.Owner{Sessions: o.Sessions}
	owner.Owner, owner.OwnerBase64 = keyText(o.Owner)
	if o.Oldest != 0 {
		owner.OldestAt = jsonTime(o.Oldest)
	}
	if o.LastAccess != 0 {
		owner.LastAccess = jsonTime(o.LastAccess)
	}
	return owner
}

// decodeOwner reads the id of an owner as the request wrote it.
func decodeOwner(s string, enc keyEncoding) ([]byte, error) {
	id := []byte(s)
	if enc == base64URLKey {
		var err error
		if id, err = decodeBase64(s); err != nil {
			return nil, fmt.Errorf("owner is not base64url: %w", err)
		}
	}
	if len(id) == 0 || len(id) > maxOwnerID {
		return nil, fmt.Errorf("owner must have 1 to %d bytes, not %d", maxOwnerID, len(id))
	}
	return id, nil
}

// OwnerParam is the path parameter that names a user.
type OwnerParam struct {
	Owner         string `path:"owner" doc:"The user's id, or its hash, percent-encoded: every byte but A-Z a-z 0-9 - . _ ~ as %XX."`
	OwnerEncoding string `query:"owner_encoding" enum:"percent,base64url" default:"percent" doc:"base64url: the path has the id in base64url without padding."`

	id []byte
}

// Resolve decodes the id.
func (p *OwnerParam) Resolve(huma.Context) (errs []error) {
	var err error
	if p.id, err = decodeOwner(p.Owner, keyEncoding(p.OwnerEncoding)); err != nil {
		errs = append(errs, &huma.ErrorDetail{Location: "path.owner", Message: err.Error(), Value: p.Owner})
	}
	return errs
}

type listOwnersInput struct {
	Prefix        string `query:"prefix" doc:"Only ids that begin with this."`
	OwnerEncoding string `query:"owner_encoding" enum:"percent,base64url" default:"percent" doc:"How prefix is written: as it is, or additionally in base64url."`
	Limit         int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most owners on the page."`
	Cursor        string `query:"cursor" doc:"next_cursor of the page before, with the same prefix."`
}

type listOwnersOutput struct{ Body adminapi.OwnerPage }

func (s *Server) listOwners(ctx context.Context, in *listOwnersInput) (*listOwnersOutput, error) {
	var prefix []byte
	var err error
	if in.Prefix != "" {
		if prefix, err = decodeOwner(in.Prefix, keyEncoding(in.OwnerEncoding)); err != nil {
			return nil, invalid("query.prefix", err)
		}
	}
	after, err := decodeCursor(in.Cursor)
	if err != nil {
		return nil, invalid("query.cursor", err)
	}
	out := &listOwnersOutput{Body: adminapi.OwnerPage{Owners: []adminapi.Owner{}, Complete: s.owners.Complete()}}
	page := &out.Body
	var last []byte
	err = s.owners.List(ctx, prefix, after, func(o *session.OwnerSummary) bool {
		if len(page.Owners) == in.Limit {
			page.NextCursor = encodeCursor(last)
			return false
		}
		page.Owners = append(page.Owners, newOwner(o))
		last = append(last[:0], o.Owner...)
		return true
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

type ownerOutput struct{ Body adminapi.Owner }

func (s *Server) getOwner(ctx context.Context, in *struct{ OwnerParam }) (*ownerOutput, error) {
	sum, err := s.owners.Summary(ctx, in.id)
	if err != nil {
		return nil, failure(err)
	}
	if sum.Sessions == 0 {
		return nil, huma.Error404NotFound("no session is this owner's")
	}
	return &ownerOutput{Body: newOwner(&sum)}, nil
}

type ownerSessionsInput struct {
	OwnerParam
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most sessions on the page."`
	Cursor string `query:"cursor" doc:"next_cursor of the page before, of the same owner."`
}

func (s *Server) ownerSessions(ctx context.Context, in *ownerSessionsInput) (*listOutput, error) {
	after, err := decodeCursor(in.Cursor)
	if err != nil {
		return nil, invalid("query.cursor", err)
	}
	page, err := s.page(ctx, &filter{owner: in.id, maxSize: -1}, after, in.Limit, false)
	if err != nil {
		return nil, failure(err)
	}
	return &listOutput{Body: page}, nil
}

type kickInput struct {
	OwnerParam
	Except      string `query:"except" doc:"The key of a session to keep: all others end."`
	KeyEncoding string `query:"key_encoding" enum:"percent,base64url" default:"percent" doc:"How except is written: as it is, or additionally in base64url."`
	DryRun      bool   `query:"dry_run" doc:"Only count what would end."`
}

type kickOutput struct{ Body adminapi.KickResult }

func (s *Server) kick(ctx context.Context, in *kickInput) (*kickOutput, error) {
	except, err := decodePrefix(in.Except, keyEncoding(in.KeyEncoding))
	if err != nil {
		return nil, invalid("query.except", err)
	}
	done, err := s.owners.Kick(ctx, owners.Kick{Owner: in.id, Except: except, DryRun: in.DryRun, Origin: recordOf(ctx)})
	result := adminapi.KickResult{DryRun: in.DryRun, Matched: done.Matched, Deleted: done.Deleted, Undo: done.Undo}
	note(ctx, fmt.Sprintf("end sessions owner=%s except=%s dry_run=%t matched=%d deleted=%d",
		quoteKey(in.id), quoteKey(except), in.DryRun, done.Matched, done.Deleted))
	if err != nil {
		return nil, failure(err)
	}
	return &kickOutput{Body: result}, nil
}

// ownedBy calls fn for the sessions of an owner whose keys begin with prefix.
func (s *Server) ownedBy(ctx context.Context, id, prefix, after []byte, fn func(*session.Item) bool) error {
	return s.owners.Sessions(ctx, id, after, true, func(it *session.Item) bool {
		return !bytes.HasPrefix(it.Key, prefix) || fn(it)
	})
}
