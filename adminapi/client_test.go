package adminapi

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestCallsWaitForABusyServer(t *testing.T) {
	tries := 0
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if tries++; tries < 2 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.Write(body)
	}))
	defer h.Close()
	c := &Client{Base: h.URL}
	var out string
	if err := c.call(t.Context(), request{method: "POST", path: "/"}, "sent", &out); err != nil || out != "sent" || tries != 2 {
		t.Errorf("%v after %d tries, %q", err, tries, out)
	}
}

// An answer that is not a success is a Problem, whoever wrote it.
func TestProblems(t *testing.T) {
	answer, status := "", 0
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	defer h.Close()
	c := &Client{Base: h.URL}
	for _, test := range []struct {
		status int
		answer string
		want   string
	}{
		{404, `{"status":404,"title":"Not Found","detail":"no such session"}`, "no such session"},
		{422, `{"detail":"validation failed","errors":[{"message":"bad","location":"body.x"}]}`, "validation failed; body.x: bad"},
		{500, `{"detail":"checkpoint failed","errors":[{"message":"no space left"}]}`, "checkpoint failed: no space left"},
		{502, "<html>", h.URL + " answered 502 Bad Gateway; is that Cairn's HTTP API?"},
		{403, `{}`, "403 Forbidden"},
	} {
		status, answer = test.status, test.answer
		_, err := c.Flush(t.Context(), time.Second)
		var p *Problem
		if !errors.As(err, &p) || p.Status != test.status || err.Error() != test.want {
			t.Errorf("%d %s: %v", test.status, test.answer, err)
		}
	}
}
