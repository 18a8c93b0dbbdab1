package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"cairn/deploy/prometheus"
)

// alertsCommand prints the alert rules of this version.
func (p *program) alertsCommand() *cobra.Command {
	page := ""
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "Print the alert rules for Prometheus; needs no server",
		Long: "Print the alert rules of this version for Prometheus. Each alert has an annotation runbook_url,\n" +
			"which leads to what to do about it: by default to the page that the server itself has,\n" +
			"https://INSTANCE/docs/troubleshooting. --runbook-url names another copy of that page.",
		Example: "  cairn alerts >/etc/prometheus/cairn.rules.yml\n" +
			"  cairn alerts --runbook-url https://wiki.example/cairn/troubleshooting\n" +
			"  cairn alerts --runbook-url 'http://{{ $labels.instance }}/docs/troubleshooting'",
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			rules, err := prometheus.Rules(page)
			if err != nil {
				return usageError{fmt.Errorf("--runbook-url %w", err)}
			}
			_, err = io.WriteString(p.stdout, rules)
			return err
		},
	}
	cmd.Flags().StringVar(&page, "runbook-url", "", "`URL` of docs/troubleshooting.md, without the #; default: the page of the server that the alert is about")
	return cmd
}
