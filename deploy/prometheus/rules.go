// Package prometheus has the alert rules, so that the program can print them.
package prometheus

import (
	_ "embed"
	"errors"
	"net/url"
	"strings"
)

//go:embed cairn.rules.yml
var rules string

// RunbookURL is the page that the rules link to: the one that the server of an alert
// has. Alerts add "#" and their name in lower case.
const RunbookURL = "https://{{ $labels.instance }}/docs/troubleshooting"

// Rules returns the alert rules as Prometheus reads them, with links to page, which may
// have Prometheus' {{ }} in it; "" is RunbookURL.
func Rules(page string) (string, error) {
	if page == "" {
		return rules, nil
	}
	if err := checkPage(page); err != nil {
		return "", err
	}
	return strings.ReplaceAll(rules, `"`+RunbookURL+"#", `"`+page+"#"), nil
}

// checkPage refuses what would not be a link, or would end the YAML string it gets into.
func checkPage(page string) error {
	plain := strings.NewReplacer("{{ $labels.instance }}", "host:1", "{{$labels.instance}}", "host:1").Replace(page)
	parsed, err := url.Parse(plain)
	switch {
	case err != nil:
		return errors.New("is not a URL")
	case parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "":
		return errors.New("must begin with https:// or http:// and a host")
	case strings.Contains(plain, "#"):
		return errors.New("must not have a #: each alert adds its own")
	case strings.ContainsAny(plain, "\"\\{} "):
		return errors.New("must not have spaces, quotes, backslashes or braces, except in {{ $labels.instance }}")
	}
	return nil
}
