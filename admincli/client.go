package admincli

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"cairn/adminapi"
	"cairn/tlsconfig"
)

// serverFlags say which server the commands speak to, and as whom.
type serverFlags struct {
	context, url, tokenFile, ca, cert, key string
}

const (
	defaultURL = "http://127.0.0.1:8211"

	urlVariable       = "CAIRN_URL"
	tokenVariable     = "CAIRN_TOKEN"
	tokenFileVariable = "CAIRN_TOKEN_FILE"
	caVariable        = "CAIRN_CA"
	certVariable      = "CAIRN_CERT"
	keyVariable       = "CAIRN_KEY"
)

func (a *app) addServerFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&a.server.context, "context", "", "`name` of a server in your contexts (environment "+contextVariable+"; see cairn context)")
	_ = cmd.RegisterFlagCompletionFunc("context", a.completeContexts)
	flags.StringVar(&a.server.url, "url", "", "`address` of the server's HTTP API (environment "+urlVariable+"; default "+defaultURL+")")
	flags.StringVar(&a.server.tokenFile, "token-file", "", "`file` with nothing but the token (environment "+tokenFileVariable+", or the token itself in "+tokenVariable+")")
	flags.StringVar(&a.server.ca, "ca", "", "`file` of the authority that signed the server's certificate (environment "+caVariable+")")
	flags.StringVar(&a.server.cert, "cert", "", "`file` of a client certificate (environment "+certVariable+")")
	flags.StringVar(&a.server.key, "key", "", "`file` of its private key (environment "+keyVariable+")")
	cmd.MarkFlagsRequiredTogether("cert", "key")
}

// ClientFlags gives cmd the flags that say which server to speak to, and as whom. The
// result makes the client.
func ClientFlags(cmd *cobra.Command, env Environment) func() (*adminapi.Client, error) {
	a := &app{Environment: env}
	a.addServerFlags(cmd)
	return a.client
}

// client makes the client of the server that flags, contexts and environment name.
func (a *app) client() (*adminapi.Client, error) {
	chosen, err := a.chosen()
	if err != nil {
		return nil, err
	}
	token, err := chosen.readToken()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if transport.TLSClientConfig, err = tlsconfig.Client(chosen.CA, chosen.Cert, chosen.Key); err != nil {
		return nil, err
	}
	return &adminapi.Client{
		Base: chosen.URL, Token: token, HTTP: &http.Client{Transport: transport},
	}, nil
}

// choice is the server that a command speaks to.
type choice struct {
	profile
	token string // if there is no file
}

// chosen puts together what flags, a context or else the environment say.
func (a *app) chosen() (c choice, err error) {
	var inContext bool
	if c.profile, inContext, err = a.contextOf(); err != nil {
		return c, err
	}
	if !inContext {
		c.profile = profile{URL: a.Getenv(urlVariable), TokenFile: a.Getenv(tokenFileVariable),
			CA: a.Getenv(caVariable), Cert: a.Getenv(certVariable), Key: a.Getenv(keyVariable)}
		c.token = a.Getenv(tokenVariable)
	}
	f := &a.server
	c.URL, c.TokenFile = cmp.Or(f.url, c.URL, defaultURL), cmp.Or(f.tokenFile, c.TokenFile)
	c.CA, c.Cert, c.Key = cmp.Or(f.ca, c.CA), cmp.Or(f.cert, c.Cert), cmp.Or(f.key, c.Key)
	if !strings.Contains(c.URL, "://") {
		c.URL = "http://" + c.URL
	}
	c.URL = strings.TrimRight(c.URL, "/")
	return c, nil
}

// base is the address of the server that is chosen.
func (a *app) base() string {
	c, err := a.chosen()
	if err != nil {
		return defaultURL
	}
	return c.URL
}

// token returns the token that commands show.
func (a *app) token() (string, error) {
	c, err := a.chosen()
	if err != nil {
		return "", err
	}
	return c.readToken()
}

func (c *choice) readToken() (string, error) {
	if c.TokenFile == "" {
		return c.token, nil
	}
	data, err := os.ReadFile(c.TokenFile)
	token := strings.TrimSpace(string(data))
	if err == nil && (token == "" || strings.ContainsAny(token, " \n")) {
		err = fmt.Errorf("%s must have the token and nothing else", c.TokenFile)
	}
	return token, err
}
