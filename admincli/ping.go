package admincli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) pingCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ping",
		Short: "Ask whether the server answers and takes writes",
		Long:  "Ask the server who it is, how long an answer takes, and whether it is ready. Fails if it is not.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if _, err := c.Server(cmd.Context()); err != nil { // connects
				return err
			}
			began := time.Now()
			info, err := c.Server(cmd.Context())
			if err != nil {
				return err
			}
			took := time.Since(began)
			switch {
			case a.json():
				err = printJSON(a.Stdout, &info)
			case info.Ready:
				_, err = fmt.Fprintf(a.Stdout, "%s: %s %s is ready, up %s, answered in %s; you are %s (%s)\n",
					c.Base, info.Name, info.Version, secondsSpan(info.UptimeSeconds), span(took), info.Caller, info.Scope)
			}
			if !info.Ready {
				err = errors.Join(err, fmt.Errorf("%s is not ready: %s", c.Base, strings.Join(info.Reasons, ", ")))
			}
			return err
		},
	}
}
