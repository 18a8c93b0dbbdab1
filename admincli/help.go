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

// helpOf says under which heading a command is, and how it is used.
var helpOf = map[string]struct{ group, example string }{
	"ls":                {"sessions", "  cairn ls --prefix memc.sess.key. --expires-within 90m\n  cairn ls --min-size 100000 --all -o json"},
	"show":              {"sessions", "  cairn show memc.sess.key.4bf92f3577b34da6\n  cairn show --base64 AAEC --no-value"},
	"get":               {"sessions", "  cairn get memc.sess.key.4bf92f3577b34da6 >session.bin"},
	"set":               {"sessions", "  echo -n hello | cairn set greeting --ttl 7d\n  cairn set memc.sess.key.4bf92f3577b34da6 session.bin --ttl 24m"},
	"touch":             {"sessions", "  cairn touch memc.sess.key.4bf92f3577b34da6 --ttl 12h"},
	"rm":                {"sessions", "  cairn rm memc.sess.key.4bf92f3577b34da6\n  cairn rm --prefix old-shop: --dry-run"},
	"owners":            {"sessions", "  cairn owners ls --prefix alice\n  cairn owners show 42\n  cairn owners kick 42 --except memc.sess.key.4bf92f3577b34da6"},
	"owners ls":         {"", "  cairn owners ls --prefix alice\n  cairn owners ls --all -o json"},
	"owners show":       {"", "  cairn owners show 42"},
	"owners kick":       {"", "  cairn owners kick 42\n  cairn owners kick 42 --except memc.sess.key.4bf92f3577b34da6 --yes"},
	"undo":              {"sessions", "  cairn undo ls\n  cairn undo apply 20260102T030405.678Z --prefix shop:\n  cairn undo rm 20260102T030405.678Z"},
	"undo ls":           {"", "  cairn undo ls"},
	"undo apply":        {"", "  cairn undo apply 20260102T030405.678Z\n  cairn undo apply 20260102T030405.678Z --prefix shop:"},
	"undo rm":           {"", "  cairn undo rm 20260102T030405.678Z"},
	"flush":             {"sessions", "  cairn flush\n  cairn flush --in 10m --yes"},
	"ping":              {"activity", "  cairn ping\n  cairn ping --url https://sessions.example:8211 --ca ca.pem"},
	"stats":             {"activity", "  cairn stats\n  cairn stats --memcached"},
	"top":               {"activity", "  cairn top\n  cairn top --interval 10s --rounds 6 -o json"},
	"watch":             {"activity", "  cairn watch --prefix memc.sess.key. --command set,delete\n  cairn watch --slower-than 50ms\n  cairn watch --hot --interval 10s\n  cairn watch -o json | jq 'select(.outcome == \"failed\")'"},
	"forecast":          {"activity", "  cairn forecast"},
	"analyze":           {"activity", "  cairn analyze\n  cairn analyze --rule php --sample 50000"},
	"connections":       {"activity", "  cairn connections\n  cairn connections close 1042"},
	"connections close": {"", "  cairn connections close 1042"},
	"log-level":         {"activity", "  cairn log-level\n  cairn log-level debug"},
	"reload":            {"activity", "  cairn reload"},
	"context":           {"activity", "  cairn context set shop --url https://sessions.example:8211 --token-file ~/.cairn-token\n  cairn context use shop\n  cairn ls --context test"},
	"stop":              {"activity", "  cairn stop\n  cairn stop --yes --within 2m"},
	"backup":            {"data", "  cairn backup sessions.backup\n  cairn backup - | ssh elsewhere 'cat >sessions.backup'"},
	"restore":           {"data", "  cairn restore sessions.backup --data-dir /var/lib/cairn"},
	"check":             {"data", "  cairn check --data-dir /var/lib/cairn"},
	"salvage":           {"data", "  cairn salvage /var/lib/cairn /var/lib/cairn-new\n  cairn salvage /var/lib/cairn /var/lib/cairn-new --uncertain -o json"},
	"export":            {"data", "  cairn export sessions.ndjson.gz --prefix shop:"},
	"import":            {"data", ""},
	"upstream":          {"data", "  cairn upstream status"},
	"cluster":           {"activity", "  cairn cluster status"},
	"man":               {"", "  cairn man /usr/local/share/man/man1"},
}

// addHelp puts cmd under its heading, and adds examples to it and to the commands below.
func addHelp(cmd *cobra.Command) {
	help := helpOf[cmd.Name()]
	cmd.GroupID = help.group
	if cmd.Example == "" {
		cmd.Example = help.example
	}
	for _, below := range cmd.Commands() {
		if below.Example == "" {
			below.Example = helpOf[cmd.Name()+" "+below.Name()].example
		}
	}
}
