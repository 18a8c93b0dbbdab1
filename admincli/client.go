package admincli

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"cairn/adminapi"
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
	caVariable        = "CAIRN_CA"
	certVariable      = "CAIRN_CERT"
	keyVariable       = "CAIRN_KEY"
)

func (a *app) addServerFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&a.server.url, "url", "", "`address` of the server's HTTP API (environment "+urlVariable+"; default "+defaultURL+")")
	flags.StringVar(&a.server.tokenFile, "token-file", "", "`file` with nothing but the token (environment "+tokenFileVariable+", or the token itself in "+tokenVariable+")")
	flags.StringVar(&a.server.ca, "ca", "", "`file` of the authority that signed the server's certificate (environment "+caVariable+")")
	flags.StringVar(&a.server.cert, "cert", "", "`file` of a client certificate (environment "+certVariable+")")
	flags.StringVar(&a.server.key, "key", "", "`file` of its private key (environment "+keyVariable+")")
	cmd.MarkFlagsRequiredTogether("cert", "key")
}

// client makes the client of the server that the flags name.
func (a *app) client() (*adminapi.Client, error) {
	token, err := a.readToken()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if transport.TLSClientConfig, err = tlsConfig(firstOf(a.server.ca, a.Getenv(caVariable)),
		firstOf(a.server.cert, a.Getenv(certVariable)), firstOf(a.server.key, a.Getenv(keyVariable))); err != nil {
		return nil, err
	}
	return &adminapi.Client{
		Base: a.base(), Token: token, HTTP: &http.Client{Transport: transport},
	}, nil
}

// base is the address of the server that the flags name.
func (a *app) base() string {
	base := firstOf(a.server.url, a.Getenv(urlVariable), defaultURL)
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	return strings.TrimRight(base, "/")
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
	if certificate != "" || key != "" {
		cert, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{cert}
	}
	return config, nil
}
