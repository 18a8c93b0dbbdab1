package adminapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Client speaks to the API of one server. It is safe for concurrent use.
//
// Its methods return a *Problem for an answer that is not a success. They wait
// and ask again, a few times, where the server asks for that.
type Client struct {
	// Base is the address of the API without a slash at its end, such as
	// http://127.0.0.1:8211.
	Base string

	// Token is sent with every request; "": none.
	Token string

	// HTTP makes the requests. Default: http.DefaultClient.
	HTTP *http.Client
}

// maxTries is how often a request is made that the server has no time for.
const maxTries = 5

// maxProblem is how many bytes of an answer that is not a success are read.
const maxProblem = 64 << 10

// Problem is an answer that is not a success (RFC 9457).
type Problem struct {
	Status int             `json:"status"` // of HTTP
	Title  string          `json:"title"`
	Detail string          `json:"detail"`
	Errors []ProblemDetail `json:"errors"`

	// RetryAfter is how long to wait before it makes sense to try again; 0: it
	// makes none.
	RetryAfter time.Duration `json:"-"`
}

// ProblemDetail says what is wrong with one part of a request.
type ProblemDetail struct {
	Message  string `json:"message"`
	Location string `json:"location"` // such as body.filter
}

func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	for _, e := range p.Errors {
		if e.Location == "" {
			text += ": " + e.Message
			continue
		}
		text += fmt.Sprintf("; %s: %s", e.Location, e.Message)
	}
	return text
}

// request is one to the API.
type request struct {
	method, path string
	query        url.Values
	header       http.Header
	contentType  string
	body         io.Reader
}

// open makes a request once and returns the answer to a success, whose body the
// caller closes.
func (c *Client) open(ctx context.Context, r *request) (*http.Response, error) {
	path := r.path
	if len(r.query) > 0 {
		path += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.Base+path, r.body)
	if err != nil {
		return nil, err
	}
	if r.header != nil {
		req.Header = r.header.Clone()
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.problem(resp)
}

// problem reads an answer that is not a success.
func (c *Client) problem(resp *http.Response) *Problem {
	p := &Problem{Title: resp.Status}
	data, _ := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if json.Unmarshal(data, p) != nil {
		p.Detail = fmt.Sprintf("%s answered %s; is that Cairn's HTTP API?", c.Base, resp.Status)
	}
	p.Status = resp.StatusCode
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}

// call makes a request with in as its JSON body, unless that is nil, and
// decodes the answer into out, unless that is nil.
func (c *Client) call(ctx context.Context, r request, in, out any) error {
	var data []byte
	if in != nil {
		var err error
		if data, err = json.Marshal(in); err != nil {
			return err
		}
		r.contentType = "application/json"
	}
	for try := 1; ; try++ {
		r.body = bytes.NewReader(data)
		resp, err := c.open(ctx, &r)
		var p *Problem
		if errors.As(err, &p) && p.RetryAfter > 0 && try < maxTries {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(p.RetryAfter):
				continue
			}
		}
		if err != nil {
			return err
		}
		return decodeBody(resp, &r, out)
	}
}

func decodeBody(resp *http.Response, r *request, out any) error {
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	return nil
}

// get is call for what only reads.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	var out T
	err := c.call(ctx, request{method: http.MethodGet, path: path, query: query}, nil, &out)
	return out, err
}
