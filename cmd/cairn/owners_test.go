package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"cairn/adminapi"
)

// phpSession stores a PHP session of a user.
func phpSession(key, user string) string {
	value := fmt.Sprintf(`user_id|s:%d:"%s";`, len(user), user)
	return fmt.Sprintf("set memc.sess.key.%s 0 900 %d\r\n%s\r\n", key, len(value), value)
}

const ownerRules = `rules: [{name: php, prefix: memc.sess.key., fence: connection, owner: "php: user_id", max-per-owner: 3}]`

// kick ends all sessions of a user over HTTP.
func kick(t *testing.T, admin, user, query string) (result adminapi.KickResult) {
	t.Helper()
	req, err := http.NewRequest("DELETE", "http://"+admin+"/v1/owners/"+user+"/sessions"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, _ := io.ReadAll(reply.Body)
	if err := json.Unmarshal(body, &result); err != nil || reply.StatusCode != http.StatusOK {
		t.Fatalf("kick %s: %d %s (%v)", user, reply.StatusCode, body, err)
	}
	return result
}

// TestOwners finds a user's sessions and ends them, while a request is under way, and
// keeps to the limit.
func TestOwners(t *testing.T) {
	dir, admin := t.TempDir(), freeAddress(t)
	args := []string{"--http-listen", admin, "--session-rules", rulesFile(t, ownerRules)}
	r := start(t, dir, args...)
	client, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	asks(t, client, "get memc.sess.key.a\r\n"+phpSession("a", "ann")+phpSession("b", "ann")+phpSession("c", "bob"),
		"END\r\nSTORED\r\nSTORED\r\nSTORED\r\n")

	run := func(args string) string {
		t.Helper()
		code, out, errs := cairn(args, "CAIRN_URL=http://"+admin)
		if code != exitOK {
			t.Errorf("cairn %s: exit %d, %s%s", args, code, out, errs)
		}
		return out
	}
	if out := run("owners ls"); !strings.Contains(out, "ann    2") || !strings.Contains(out, "bob    1") {
		t.Errorf("owners: %s", out)
	}
	if out := run("owners show ann"); strings.Count(out, "memc.sess.key.") != 2 {
		t.Errorf("sessions of ann: %s", out)
	}
	if out := run("show memc.sess.key.a --no-value"); !strings.Contains(out, "Owner") || !strings.Contains(out, "ann") {
		t.Errorf("session: %s", out)
	}
	if out := run("owners kick ann --dry-run"); !strings.Contains(out, "2 sessions of ann would end") {
		t.Errorf("dry run: %s", out)
	}
	if out := run("owners kick ann --except memc.sess.key.a --yes"); !strings.Contains(out, "1 sessions of ann have ended") {
		t.Errorf("kick of all but one: %s", out)
	}
	if out := run("rules try memc.sess.key.a --sessions php --session-rules " + args[3]); !strings.Contains(out, "ann") {
		t.Errorf("rules try: %s", out)
	}
	if code, _, errs := cairn("rules try memc.sess.key.a /dev/null --session-rules " + args[3]); code == exitOK || !strings.Contains(errs, "none of the rule's paths") {
		t.Errorf("rules try of nothing: %d, %s", code, errs)
	}

	// A request that has read the session cannot store it again.
	if done := kick(t, admin, "ann", ""); done.Deleted != 1 {
		t.Errorf("kick: %+v", done)
	}
	asks(t, client, phpSession("a", "ann")+"get memc.sess.key.a\r\n", "STORED\r\nEND\r\n")
	if done := kick(t, admin, "ann", ""); done != (adminapi.KickResult{}) {
		t.Errorf("second kick: %+v", done)
	}

	// Three sessions a user; the fourth login ends the oldest.
	for _, key := range []string{"1", "2", "3", "4"} {
		say(t, "tcp", r.addr, phpSession(key, "eve"))
	}
	awaitTrue(t, "the first session has ended", func() bool {
		return !strings.Contains(run("owners show eve"), "memc.sess.key.1 ")
	})
	if out := run("owners show eve"); strings.Count(out, "memc.sess.key.") != 3 {
		t.Errorf("sessions of eve: %s", out)
	}
	if _, body := httpGet(t, "http://"+admin+"/metrics"); !strings.Contains(body, `cairn_owners_active{window="5m"} 3`) ||
		!strings.Contains(body, `cairn_owner_sessions_ended_total{reason="limit"} 1`) {
		t.Errorf("metrics: %s", body)
	}
	r.cmd.Process.Kill()
	r.ends()
	r = start(t, dir, args...)
	if out := run("owners ls"); !strings.Contains(out, "eve    3") || strings.Contains(out, "ann") {
		t.Errorf("owners after a kill: %s", out)
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	r.ends()
	if code, out, errs := cairn("check --data-dir " + dir); code != exitOK {
		t.Errorf("check: %s%s", out, errs)
	}
}

// TestOwnersOfOldSessions gives a rule to a store that has sessions already.
func TestOwnersOfOldSessions(t *testing.T) {
	dir, admin := t.TempDir(), freeAddress(t)
	rules := rulesFile(t, "rules: []")
	r := start(t, dir, "--http-listen", admin, "--session-rules", rules)
	say(t, "tcp", r.addr, phpSession("a", "ann")+phpSession("b", "ann")+"set other 0 0 1\r\nx\r\n")
	before := say(t, "tcp", r.addr, "mg memc.sess.key.a c\r\n")
	page := func() (page adminapi.OwnerPage) {
		t.Helper()
		_, body := httpGet(t, "http://"+admin+"/v1/owners")
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		return page
	}
	awaitTrue(t, "there is nothing to be known", func() bool { p := page(); return p.Complete && len(p.Owners) == 0 })
	if err := os.WriteFile(rules, []byte(ownerRules), 0o600); err != nil {
		t.Fatal(err)
	}
	r.cmd.Process.Signal(syscall.SIGHUP)
	awaitTrue(t, "the owners are known", func() bool { p := page(); return p.Complete && len(p.Owners) == 1 && p.Owners[0].Sessions == 2 })
	if after := say(t, "tcp", r.addr, "mg memc.sess.key.a c\r\n"); after != before {
		t.Errorf("the version was %q and is %q", before, after)
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	r.ends()
}
