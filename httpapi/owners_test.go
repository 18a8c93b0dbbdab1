package httpapi

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"cairn/adminapi"
	"cairn/session"
)

// own stores a session of somebody.
func (e *modelEngine) own(key, owner string, expiry session.Time) {
	var b session.Burst
	b.Reset(e.Now())
	*b.Add() = session.Command{
		Op: session.OpSet, Mods: session.Tracked, Key: []byte(key), Value: []byte("value"), Owner: []byte(owner), Expiry: expiry,
	}
	session.Do(e, &b)
}

func TestOwners(t *testing.T) {
	h := start(t, Options{})
	for i := range 25 {
		h.engine.own(fmt.Sprintf("s:%02d", i), fmt.Sprint("user", i%5), testStart+10*minute)
	}
	h.engine.own("x", "\xff/..", testStart+10*minute)
	h.engine.put("nobody's", "v", testStart+10*minute)

	var names []string
	cursor := ""
	for {
		page := as[adminapi.OwnerPage](t, h.do("GET", "/v1/owners?limit=2&cursor="+cursor, nil).want(t, 200))
		for _, o := range page.Owners {
			names = append(names, fmt.Sprint(o.Owner, o.OwnerBase64, o.Sessions))
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if got := strings.Join(names, " "); got != "\uFFFD/.._y8uLg1 user05 user15 user25 user35 user45" {
		t.Errorf("owners %s", got)
	}
	if page := as[adminapi.OwnerPage](t, h.do("GET", "/v1/owners?prefix=user3", nil).want(t, 200)); len(page.Owners) != 1 {
		t.Errorf("page %+v", page)
	}
	odd := "/v1/owners/_y8uLg"
	if o := as[adminapi.Owner](t, h.do("GET", odd+"?owner_encoding=base64url", nil).want(t, 200)); o.Sessions != 1 || o.OldestAt == nil {
		t.Errorf("owner %+v", o)
	}

	first := as[adminapi.SessionPage](t, h.do("GET", "/v1/owners/user1/sessions?limit=3", nil).want(t, 200))
	rest := as[adminapi.SessionPage](t, h.do("GET", "/v1/owners/user1/sessions?cursor="+url.QueryEscape(first.NextCursor), nil).want(t, 200))
	if len(first.Sessions) != 3 || len(rest.Sessions) != 2 || rest.NextCursor != "" {
		t.Errorf("pages of %d and %d", len(first.Sessions), len(rest.Sessions))
	}
	if s := first.Sessions[0]; s.Owner != "user1" || s.CreatedAt == nil || s.Size != 5 || s.Key != "s:01" {
		t.Errorf("session %+v", s)
	}
	if page := as[adminapi.SessionPage](t, h.do("GET", "/v1/sessions?owner=user1&prefix=s:1", nil).want(t, 200)); len(page.Sessions) != 2 {
		t.Errorf("page %+v", page)
	}
	if lines := strings.Count(string(h.do("GET", "/v1/export?owner=user2", nil).want(t, 200).body), "\n"); lines != 5 {
		t.Errorf("export of %d lines", lines)
	}

	kick := func(path string, want adminapi.KickResult) {
		t.Helper()
		if got := as[adminapi.KickResult](t, h.do("DELETE", path, nil).want(t, 200)); got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	kick("/v1/owners/user1/sessions?dry_run=true", adminapi.KickResult{DryRun: true, Matched: 5})
	kick("/v1/owners/user1/sessions?except=s:06", adminapi.KickResult{Matched: 4, Deleted: 4})
	kick("/v1/owners/user1/sessions", adminapi.KickResult{Matched: 1, Deleted: 1})
	kick("/v1/owners/user1/sessions", adminapi.KickResult{})
	kick(odd+"/sessions?owner_encoding=base64url", adminapi.KickResult{Matched: 1, Deleted: 1})
	h.do("GET", "/v1/owners/user1", nil).want(t, 404)
	bulk := as[adminapi.BulkDeleteResult](t, h.do("POST", "/v1/bulk-delete",
		map[string]any{"dry_run": false, "filter": map[string]any{"owner": "user2"}}).want(t, 200))
	if bulk.Deleted != 5 {
		t.Errorf("bulk delete %+v", bulk)
	}
	if log := h.log.String(); !strings.Contains(log, "end sessions owner=user1 except=s:06 dry_run=false matched=4 deleted=4") {
		t.Errorf("no audit line in %s", log)
	}
}

func TestOwnersNeedScopes(t *testing.T) {
	h := start(t, Options{Auth: AuthOptions{Tokens: "reader read 0123456789abcdef"}})
	h.engine.own("k", "ann", testStart+10*minute)
	token := []string{"Authorization", "Bearer 0123456789abcdef"}
	h.do("GET", "/v1/owners", nil, token...).want(t, 200)
	h.do("GET", "/v1/owners/ann/sessions", nil, token...).want(t, 200)
	h.do("DELETE", "/v1/owners/ann/sessions", nil, token...).want(t, 403)
	h.do("GET", "/v1/owners", nil).want(t, 401)
}
