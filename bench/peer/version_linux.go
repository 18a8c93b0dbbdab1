package peer

import (
	"os/exec"
	"regexp"
)

// Version returns the server's version, "unknown" if it does not tell. A Cairn
// tells its clients which memcached it resembles, so its binary is asked.
func (s *Server) Version() string {
	var text string
	switch {
	case s.Spec.IsCairn():
		text = s.binaryVersion("version")
	case s.Spec.SpeaksMemcached():
		statistics, err := s.Statistics()
		if err != nil {
			return "unknown"
		}
		text = statistics["version"]
	default:
		text = s.binaryVersion("--version")
	}
	if found := versionNumber.FindString(text); found != "" {
		return found
	}
	return "unknown"
}

var versionNumber = regexp.MustCompile(`[0-9]+\.[0-9]+[0-9A-Za-z.+-]*`)

func (s *Server) binaryVersion(argument string) string {
	out, err := exec.Command(s.Command[0], argument).CombinedOutput()
	if err != nil {
		return ""
	}
	return string(out)
}
