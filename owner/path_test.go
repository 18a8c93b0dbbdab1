package owner

import (
	"strings"
	"testing"
)

func mustPath(t testing.TB, text string) Path {
	t.Helper()
	path, err := ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPathErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "must begin with a format",
		"user.id":                              "must begin with a format",
		"xml: user":                            "must begin with a format",
		"json:":                                "has no steps",
		"json: a..b":                           "no name",
		"json: .a":                             "no name",
		"json: a.":                             "must follow",
		"json: a b.":                           "must follow",
		"json: a[x]":                           "number in brackets",
		"json: a[01]":                          "number in brackets",
		"json: a[1":                            "number in brackets",
		"json: a[70000]":                       "number in brackets",
		`json: "a`:                             "ends with a quotation mark",
		`json: ""`:                             "ends with a quotation mark",
		`json: a"b"`:                           "must follow",
		"json: a*b*c":                          "more than one *",
		"json: a.**":                           "must follow **",
		"json: **~a":                           "must follow **",
		"json: **.a.**.b":                      "more than one **",
		"msm: user":                            "must begin with principal, saved_principal, attributes",
		"msm: **.user":                         "must begin with",
		"msm: ~user":                           "must begin with",
		"json: a" + strings.Repeat(".a", 16):   "more than 16 steps",
		"json: a" + strings.Repeat("a", 1<<10): "longer than 512 bytes",
	} {
		if _, err := ParsePath(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

// TestSteps follows each kind of step through one value.
func TestSteps(t *testing.T) {
	const value = `{"a":{"b":{"c":"abc"},"list":[1,{"x":"lx"},"two"],"7":"seven"},"a.b":"dotted",
		"q\"uote":"quoted","login_web_59ba":11,"\u00fcml":"umlaut","inner":"{\"id\":\"in\\u0041\"}",
		"empty":"","null":null,"yes":true,"float":1.5,"exp":1e5,"s":"a:1:{s:2:\"id\";i:5;}"}`
	for path, want := range map[string]string{
		"a.b.c":          "abc",
		"a[7]":           "seven",
		"a.7":            "seven",
		"a.list[0]":      "1",
		"a.list.0":       "1",
		"a.list[1].x":    "lx",
		"a.list[*]":      "error",
		"a.list.*":       "1",
		"a.list.2":       "two",
		"a.list[3]":      "",
		"a.*.c":          "abc",
		"*.b.c":          "abc",
		"**.x":           "lx",
		"a.**.c":         "abc",
		"**.list.**.x":   "error",
		"**.list[2]":     "two",
		`"a.b"`:          "dotted",
		`"q\"uote"`:      "quoted",
		"login_web_*":    "11",
		"login*9ba":      "11",
		"üml":            "umlaut",
		"inner~id":       "inA",
		"inner~.id":      "inA",
		"s~id":           "5",
		"s~*":            "5",
		"a~id":           "",
		"empty":          "",
		"null":           "",
		"yes":            "",
		"float":          "",
		"exp":            "",
		"a":              "",
		"nothing":        "",
		"a.b.c.d":        "",
		"*":              "dotted",
		"em*":            "",
		"** . x":         "error",
		"json_is_no.way": "",
	} {
		p, err := ParsePath("json: " + path)
		if (err != nil) != (want == "error") {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if err != nil {
			continue
		}
		if id, ok := Find([]byte(value), 0, []Path{p}); string(id) != want || ok != (want != "") {
			t.Errorf("%s leads to %q, %v, not to %q", path, id, ok, want)
		}
	}
}

// TestFirstPath tries paths in their order, each in its own format.
func TestFirstPath(t *testing.T) {
	paths := []Path{mustPath(t, "php: user_id"), mustPath(t, "json: nobody"), mustPath(t, "json: user")}
	if id, ok := Find([]byte(`{"user":"alice"}`), 0, paths); !ok || string(id) != "alice" {
		t.Errorf("found %q, %v", id, ok)
	}
	if id, ok := Find([]byte(`{"user":"alice"}`), 0, nil); ok {
		t.Errorf("no path found %q", id)
	}
	if paths[2].String() != "json: user" {
		t.Errorf("the path is %q", paths[2])
	}
}
