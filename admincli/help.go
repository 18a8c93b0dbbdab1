package admincli

import "github.com/spf13/cobra"

// Groups returns the groups of the commands, in the order of the help page.
func Groups() []*cobra.Group {
	return []*cobra.Group{
		{ID: "sessions", Title: "Sessions of a running server:"},
		{ID: "activity", Title: "What a running server does:"},
		{ID: "data", Title: "Backup, and moving in and out:"},
	}
}

// helpOf says under which heading a command stands, and how it is used.
var helpOf = map[string]struct{ group, example string }{
	"ls":          {"sessions", "  cairn ls --prefix memc.sess.key. --expires-within 90m\n  cairn ls --min-size 100000 --all -o json"},
	"show":        {"sessions", "  cairn show memc.sess.key.4bf92f3577b34da6\n  cairn show --base64 AAEC --no-value"},
	"get":         {"sessions", "  cairn get memc.sess.key.4bf92f3577b34da6 >session.bin"},
	"set":         {"sessions", "  echo -n hello | cairn set greeting --ttl 7d\n  cairn set memc.sess.key.4bf92f3577b34da6 session.bin --ttl 24m"},
	"touch":       {"sessions", "  cairn touch memc.sess.key.4bf92f3577b34da6 --ttl 12h"},
	"rm":          {"sessions", "  cairn rm memc.sess.key.4bf92f3577b34da6\n  cairn rm --prefix old-shop: --dry-run"},
	"flush":       {"sessions", "  cairn flush\n  cairn flush --in 10m --yes"},
	"ping":        {"activity", "  cairn ping\n  cairn ping --url https://sessions.example:8211 --ca ca.pem"},
	"stats":       {"activity", "  cairn stats\n  cairn stats --memcached"},
	"top":         {"activity", "  cairn top\n  cairn top --interval 10s --rounds 6 -o json"},
	"forecast":    {"activity", "  cairn forecast"},
	"connections": {"activity", "  cairn connections\n  cairn connections close 1042"},
	"log-level":   {"activity", "  cairn log-level\n  cairn log-level debug"},
	"backup":      {"data", "  cairn backup sessions.backup\n  cairn backup - | ssh elsewhere 'cat >sessions.backup'"},
	"restore":     {"data", "  cairn restore sessions.backup --data-dir /var/lib/cairn"},
	"check":       {"data", "  cairn check --data-dir /var/lib/cairn"},
	"export":      {"data", "  cairn export sessions.ndjson.gz --prefix shop:"},
	"import":      {"data", ""},
	"man":         {"", "  cairn man /usr/local/share/man/man1"},
}

// addHelp puts cmd under its heading.
func addHelp(cmd *cobra.Command) {
	help := helpOf[cmd.Name()]
	cmd.GroupID = help.group
	if cmd.Example == "" {
		cmd.Example = help.example
	}
}
