package console_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"cairn/httpapi"
)

const ownerRows = ".owners tbody tr"

// TestUsers finds a user, looks into a session, ends the others, then all, and brings
// them back.
func TestUsers(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	s.own("marie", phpCart, names("memc.sess.key.m", 130)...)
	s.own("max", `{"n":1}`, "memc.sess.key.x1", "memc.sess.key.x2", "memc.sess.key.x3")
	s.own("\xff\x00", "x", "memc.sess.key.y")
	s.put([]byte("x"), 0, time.Hour, "nobody's")
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("")
	p.see("#status", "Ready")
	p.keys("g", "u")
	p.see(ownerRows, "marie")
	p.until(`document.querySelectorAll(".owners tbody tr").length === 3`)
	p.see(ownerRows, "130")
	p.keys("/")
	p.until(`document.activeElement.type === "search"`)
	p.write("input[type=search]", "ma")
	p.until(`document.querySelectorAll(".owners tbody tr").length === 2`)
	p.write("input[type=search]", "nobody")
	p.see(".empty", "No id begins like this")
	p.write("input[type=search]", "max")
	p.see(ownerRows, "max")
	p.keys(kb.Enter)

	// One session, decoded, and the others of its user.
	p.until(`document.querySelectorAll(".list tbody tr").length === 3`)
	p.until(`document.querySelector("form.search select").value === "owner"`)
	p.click(rows, "memc.sess.key.x2")
	p.see(".detail .tree", "n")
	p.see(".detail .facts", "max")
	p.click(".detail button", "End all others of this user")
	p.see("dialog h1", "End 2 other sessions?")
	p.click("dialog button.main", "End 2")
	p.see(".toast", "2 sessions ended")
	p.until(`document.querySelectorAll(".list tbody tr").length === 1`)
	if n := s.count("memc.sess.key.x"); n != 1 {
		t.Errorf("%d sessions of max are left, want 1", n)
	}
	p.click(".detail button", "End all others of this user")
	p.see(".toast", "There is no other session")

	// All of a user with many, and back.
	p.keys("g", "u")
	p.click(ownerRows+" a", "marie")
	p.see(rows, "memc.sess.key.m00000")
	p.click("button", "End all sessions of this user")
	p.see("dialog h1", "End 130 sessions?")
	p.click("dialog button", "Cancel")
	p.gone("dialog", "")
	if n := s.count("memc.sess.key.m"); n != 130 {
		t.Errorf("%d sessions are left after no", n)
	}
	p.click("button", "End all sessions of this user")
	p.click("dialog button.main", "End 130")
	p.see(".toast", "130 sessions ended")
	p.see(".empty", "No session matches")
	p.click(".toast button", "Undo")
	p.see(".toast", "130 sessions back")
	p.see(rows, "memc.sess.key.m00000")
	if n := s.count("memc.sess.key.m"); n != 130 {
		t.Errorf("%d sessions are back", n)
	}

	// A user whose id is not text.
	p.keys("g", "u")
	p.click(ownerRows+" a", "\uFFFD")
	p.see(rows, "memc.sess.key.y")
	p.until(`document.querySelectorAll(".list tbody tr").length === 1`)
	p.click("button", "End all sessions of this user")
	p.click("dialog button.main", "End 1")
	p.see(".toast", "1 session ended")
	p.see(".empty", "No session matches")
}

// TestUsersTotal says how many there are in all, also where they take pages.
func TestUsersTotal(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	for i := range 130 {
		s.own(fmt.Sprintf("u%04d", i), "x", fmt.Sprintf("k%d", i))
	}
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("#/users")
	p.see("header", "Page 1: 100 of 130 users")
	p.keys("n")
	p.see("header", "Page 2: 30 of 130 users")
	p.write("input[type=search]", "u010")
	p.see("header", "10 users")
	p.gone("header", "Page")
	p.write("input[type=search]", "u0101")
	p.see("header", "1 user")
	p.gone("header", "users")
}

// TestUndoOfAFlush brings everything back from the list of what can be undone.
func TestUndoOfAFlush(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	s.put([]byte("x"), 0, time.Hour, names("k", 20)...)
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("#/server")
	p.see(".panel", "Nothing was deleted lately")
	p.click("#flush", "Delete all")
	p.write("dialog input", "delete all sessions")
	p.click("dialog button.main", "Delete everything")
	p.see(".toast", "20 sessions deleted")
	p.see(".actions h3", "flush of 20 sessions")
	p.click(".actions button", "Bring back")
	p.see("dialog h1", "Bring back what was deleted?")
	p.click("dialog button.main", "Bring back")
	p.see(".toast", "20 sessions back")
	if n := s.count("k"); n != 20 {
		t.Errorf("%d sessions are back", n)
	}
}

// TestUsersReadOnly shows users to who may read, and no way to end their sessions.
func TestUsersReadOnly(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{Tokens: tokens})
	s.own("marie", "x", "a", "b")
	p := newTab(t, s.url)
	p.expect("401")
	p.signIn(readToken)
	p.size(390, 844)
	p.do(`location.hash = "#/users"`)
	p.see(ownerRows, "marie")
	p.click(ownerRows+" a", "marie")
	p.until(`document.querySelectorAll(".list tbody tr").length === 2`)
	p.gone("button", "End all")
	p.click(rows, "a")
	p.see(".detail .facts", "marie")
	p.gone(".detail button", "End all")
}
