package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cairn/memory"
	"cairn/session"
	"cairn/sizing"
)

// sizeCommand estimates what a server needs, for who has none yet.
func (p *program) sizeCommand() *cobra.Command {
	load := sizing.Load{
		ValueBytes: 1800, KeyBytes: 45, TTL: 30 * time.Minute,
		Compressed: 0.4, HotFor: 5 * time.Minute, Connections: 1024,
	}
	var output string
	cmd := &cobra.Command{
		Use:   "size --sessions NUMBER --rate NUMBER",
		Short: "Estimate memory, disk and -m for so many sessions; needs no server",
		Long: "Estimate what a server needs: memory with -m and --memory-total, disk, and what is\n" +
			"written. docs/sizing.md says where the figures are from. Of a running server,\n" +
			"'cairn stats' and 'cairn analyze' show how many sessions there are and how large.",
		Example: "  cairn size --sessions 1000000 --rate 2000 --ttl 24m\n" +
			"  cairn size --sessions 200000 --rate 50 --ttl 14d --bytes 4000 --hot 1h -o json",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return usageError{fmt.Errorf("--output must be table or json, not %q", output)}
			}
			if !cmd.Flags().Changed("sessions") || !cmd.Flags().Changed("rate") {
				return usageError{errors.New("size needs --sessions and --rate: how many are alive, and how many requests a second use one")}
			}
			if err := load.Check(); err != nil {
				return usageError{err}
			}
			return printNeed(p.stdout, &load, output == "json")
		},
	}
	flags := cmd.Flags()
	flags.Int64Var(&load.Sessions, "sessions", 0, "sessions that are alive at a time")
	flags.Float64Var(&load.Rate, "rate", 0, "web `requests` a second; each reads a session and stores it again")
	flags.Int64Var(&load.ValueBytes, "bytes", load.ValueBytes, "size of a session on average, before compression")
	flags.Int64Var(&load.KeyBytes, "key-bytes", load.KeyBytes, "size of a key on average")
	flags.Var((*lengthValue)(&load.TTL), "ttl", "time to live, such as 24m or 14d; 0: sessions never expire")
	flags.Float64Var(&load.Compressed, "compressed", load.Compressed, "`share` of a session that is left after compression; 1: it cannot be compressed")
	flags.Var((*lengthValue)(&load.HotFor), "hot", "keep in memory what was used within this time")
	flags.Int64Var(&load.Connections, "connections", load.Connections, "connections of clients")
	flags.StringVarP(&output, "output", "o", "table", "`form` of what is printed: table or json")
	return cmd
}

// lengthValue is a flag with a length of time as session.ParseDuration reads it.
type lengthValue time.Duration

func (v *lengthValue) Type() string   { return "duration" }
func (v *lengthValue) String() string { return session.FormatDuration(time.Duration(*v)) }

func (v *lengthValue) Set(text string) error {
	d, err := session.ParseDuration(text)
	*v = lengthValue(d)
	return err
}

// sizeReport is the estimate as JSON, with what it is for.
type sizeReport struct {
	Load sizeLoad `json:"load"`
	sizing.Need
	Flags []string `json:"flags"` // of cairn serve
}

type sizeLoad struct {
	Sessions    int64   `json:"sessions"`
	Rate        float64 `json:"requests_per_second"`
	ValueBytes  int64   `json:"value_bytes"`
	KeyBytes    int64   `json:"key_bytes"`
	TTL         float64 `json:"ttl_seconds"`
	Compressed  float64 `json:"compressed"`
	HotFor      float64 `json:"hot_seconds"`
	Connections int64   `json:"connections"`
}

func printNeed(w io.Writer, l *sizing.Load, asJSON bool) error {
	need := sizing.Estimate(*l)
	flags := []string{
		fmt.Sprintf("-m %d", need.Memory.Cache>>20),
		fmt.Sprintf("--memory-total %dm", need.Memory.Total>>20),
		fmt.Sprintf("-c %d", max(l.Connections, 1)),
	}
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(sizeReport{
			Load: sizeLoad{l.Sessions, l.Rate, l.ValueBytes, l.KeyBytes, l.TTL.Seconds(), l.Compressed, l.HotFor.Seconds(), l.Connections},
			Need: need, Flags: flags,
		})
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	m, d := &need.Memory, &need.Disk
	fmt.Fprintf(t, "MEMORY\t%s\tof a machine or container, of which the server takes %s (--memory-total)\n", memory.Size(m.Machine), memory.Size(m.Total))
	fmt.Fprintf(t, "  hot sessions\t%s\t-m %d: %d used within %s\n", memory.Size(m.Cache), m.Cache>>20, m.HotSessions, session.FormatDuration(l.HotFor))
	fmt.Fprintf(t, "  buffers\t%s\tlarge values on their way in and out\n", memory.Size(m.Buffers))
	fmt.Fprintf(t, "  tables\t%s\tnew writes, and blocks of files\n", memory.Size(m.Tables))
	fmt.Fprintf(t, "  filters\t%s\tfor sessions on disk\n", memory.Size(m.Filters))
	fmt.Fprintf(t, "  connections\t%s\t%d of them, without TLS\n", memory.Size(m.Connections), l.Connections)
	fmt.Fprintf(t, "DISK\t%s\tof a volume, or more\n", memory.Size(d.Volume))
	fmt.Fprintf(t, "  alive\t%s\t%d sessions, compressed\n", memory.Size(d.Live), l.Sessions)
	fmt.Fprintf(t, "  expired\t%s\tat most, until their space comes back\n", memory.Size(d.Expired))
	fmt.Fprintf(t, "  old copies\t%s\tof sessions that were stored again\n", memory.Size(d.Old))
	fmt.Fprintf(t, "  logs, reserve\t%s\tlogs, ballast and --disk-reserve\n", memory.Size(d.Logs+d.Ballast+d.Reserve))
	fmt.Fprintf(t, "WRITES\t%s\ta second to the disk\n", memory.Size(need.Writes.BytesPerSecond))
	fmt.Fprintf(t, "PROCESSOR\t%.1f\tcores busy; have at least two\n", need.Writes.Processor)
	fmt.Fprintf(t, "START WITH\t\tcairn serve %s %s %s\n", flags[0], flags[1], flags[2])
	return t.Flush()
}
