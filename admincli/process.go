package admincli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"cairn/adminapi"
)

func (a *app) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Reload certificates, users, tokens and rules",
		Long: "Make the server reload what it reads on SIGHUP: certificates, users, tokens and rules for sessions;\n" +
			"it opens its log file again. Fails if something could not be read; the old version then stays in use.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			result, err := c.Reload(cmd.Context())
			if err != nil {
				return err
			}
			return a.reportReload(&result)
		},
	}
}

func (a *app) reportReload(result *adminapi.ReloadResult) error {
	if a.json() {
		if err := printJSON(a.Stdout, result); err != nil {
			return err
		}
	} else {
		t := newTable(a.Stdout)
		for _, part := range result.Parts {
			outcome := "reloaded"
			if part.Error != "" {
				outcome = "failed: " + part.Error
			}
			t.row(part.What, outcome)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if result.Failed > 0 {
		return fmt.Errorf("%d of %d could not be reloaded; the old ones stay in use", result.Failed, len(result.Parts))
	}
	return nil
}

// stopPoll is how often stop looks whether the server is still there.
const stopPoll = 50 * time.Millisecond

func (a *app) stopCommand() *cobra.Command {
	yes, within := false, duration(30*time.Second)
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop the server cleanly and wait until it has ended",
		Long: "Stop the server as SIGTERM does: what clients have begun is finished, and everything is on disk. Waits until\n" +
			"nobody listens at its address any more. A service manager may start it again: there, use its own command.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if within <= 0 {
				return usagef("--within must be positive")
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			info, err := c.Server(cmd.Context())
			if err != nil {
				return err
			}
			if err := a.confirm(yes, fmt.Sprintf("Stop %s, which is up for %s?", c.Base, secondsSpan(info.UptimeSeconds))); err != nil {
				return err
			}
			if err := c.Stop(cmd.Context()); err != nil {
				return err
			}
			if err := awaitEnd(cmd.Context(), c.Base, time.Duration(within)); err != nil {
				return err
			}
			if a.json() {
				return printJSON(a.Stdout, adminapi.StopResult{Stopping: true})
			}
			fmt.Fprintln(a.Stdout, "stopped")
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().Var(&within, "within", "how long to wait for the end")
	return cmd
}

// awaitEnd waits until nobody listens at an address.
func awaitEnd(ctx context.Context, base string, within time.Duration) error {
	u, err := url.Parse(base)
	if err != nil {
		return err
	}
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), u.Scheme)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, within, errors.New("the server has begun to stop, but has not ended yet"))
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return nil
		}
		conn.Close()
		select {
		case <-time.After(stopPoll):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
