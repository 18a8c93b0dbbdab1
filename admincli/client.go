package admincli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cairn/httpapi"
)

// serverFlags say which server the commands speak to, and as whom.
type serverFlags struct {
	url, tokenFile, ca, cert, key string
}

const (
	defaultURL = "http://127.0.0.1:8211"

	urlVariable       = "CAIRN_URL"
	tokenVariable     = "CAIRN_TOKEN"
	tokenFileVariable = "CAIRN_TOKEN_FILE"
)

func (a *app) addServerFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&a.server.url, "url", "", "`address` of the server's HTTP API (environment "+urlVariable+"; default "+defaultURL+")")
	flags.StringVar(&a.server.tokenFile, "token-file", "", "`file` with nothing but the token (environment "+tokenFileVariable+", or the token itself in "+tokenVariable+")")
	flags.StringVar(&a.server.ca, "ca", "", "`file` of the authority that signed the server's certificate")
	flags.StringVar(&a.server.cert, "cert", "", "`file` of a client certificate")
	flags.StringVar(&a.server.key, "key", "", "`file` of its private key")
	cmd.MarkFlagsRequiredTogether("cert", "key")
}

// client speaks to one server.
type client struct {
	base  string
	token string
	http  *http.Client
}

func (a *app) client() (*client, error) {
	c := &client{base: firstOf(a.server.url, a.Getenv(urlVariable), defaultURL)}
	if !strings.Contains(c.base, "://") {
		c.base = "http://" + c.base
	}
	c.base = strings.TrimRight(c.base, "/")
	var err error
	if c.token, err = a.readToken(); err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if transport.TLSClientConfig, err = tlsConfig(a.server.ca, a.server.cert, a.server.key); err != nil {
		return nil, err
	}
	c.http = &http.Client{Transport: transport}
	return c, nil
}

func firstOf(choices ...string) string {
	for _, choice := range choices {
		if choice != "" {
			return choice
		}
	}
	return ""
}

func (a *app) readToken() (string, error) {
	file := firstOf(a.server.tokenFile, a.Getenv(tokenFileVariable))
	if file == "" {
		return a.Getenv(tokenVariable), nil
	}
	data, err := os.ReadFile(file)
	token := strings.TrimSpace(string(data))
	if err == nil && (token == "" || strings.ContainsAny(token, " \n")) {
		err = fmt.Errorf("%s must have the token and nothing else", file)
	}
	return token, err
}

// tlsConfig trusts the authorities in the file ca and shows the certificate in
// cert. Files without a name are left out.
func tlsConfig(ca, certificate, key string) (*tls.Config, error) {
	config := &tls.Config{}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate", ca)
		}
	}
	if certificate != "" {
		cert, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{cert}
	}
	return config, nil
}

// problem is an answer that is not a success (RFC 9457).
type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`

	wait time.Duration // before it makes sense to try again; 0: never
}

func (p *problem) Error() string {
	text := firstOf(p.Detail, p.Title)
	for _, e := range p.Errors {
		text += fmt.Sprintf("; %s: %s", e.Location, e.Message)
	}
	if p.Status == http.StatusUnauthorized {
		text += " (put it into " + tokenVariable + ")"
	}
	return text
}

// open sends a request and gives the answer, whose body the caller closes. An
// answer that is not a success is a *problem.
func (c *client) open(ctx context.Context, method, path string, query url.Values, contentType string, body io.Reader) (*http.Response, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	p := &problem{Status: resp.StatusCode, Title: resp.Status}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.wait = time.Duration(seconds) * time.Second
	}
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if json.Unmarshal(data, p) != nil {
		p.Detail = fmt.Sprintf("%s answered %s; is that Cairn's HTTP API?", c.base, resp.Status)
	}
	return nil, p
}

// maxTries is how often a call is made that the server has no time for.
const maxTries = 5

// call sends in as JSON, unless it is nil, and decodes the answer into out,
// unless that is nil. It waits if the server gets too many requests.
func (c *client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var data []byte
	contentType := ""
	if in != nil {
		var err error
		if data, err = json.Marshal(in); err != nil {
			return err
		}
		contentType = "application/json"
	}
	for try := 1; ; try++ {
		resp, err := c.open(ctx, method, path, query, contentType, bytes.NewReader(data))
		var p *problem
		if errors.As(err, &p) && p.wait > 0 && try < maxTries {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(p.wait):
				continue
			}
		}
		if err != nil {
			return err
		}
		return decodeBody(resp, method, path, out)
	}
}

func decodeBody(resp *http.Response, method, path string, out any) error {
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// sessionPath is where the API has a session. It works for keys of any bytes.
func sessionPath(key []byte, rest string) (path string, query url.Values) {
	return "/v1/sessions/" + encodeKey(key) + rest, url.Values{"key_encoding": {"base64url"}}
}

// stats asks the server for its statistics.
func (c *client) stats(ctx context.Context) (*httpapi.Stats, error) {
	s := &httpapi.Stats{}
	return s, c.call(ctx, "GET", "/v1/stats", nil, nil, s)
}
