package peer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Metrics reads a Cairn's own figures by their names, with the labels in braces
// if they have any. Other servers have none.
func (s *Server) Metrics(ctx context.Context) (map[string]float64, error) {
	at := slices.Index(s.Command, httpFlag)
	if at < 0 {
		return nil, nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Command[at+1]+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("peer: %s: metrics: %w", s.Spec.Name, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("peer: %s: metrics: %s %w", s.Spec.Name, response.Status, err)
	}
	return parseMetrics(string(body))
}

// parseMetrics reads Prometheus' text format as far as a server without
// timestamps and spaces in labels uses it.
func parseMetrics(text string) (map[string]float64, error) {
	metrics := map[string]float64{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			return nil, fmt.Errorf("peer: metrics: unexpected line %q", line)
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("peer: metrics: %w", err)
		}
		metrics[line[:at]] = value
	}
	return metrics, nil
}
