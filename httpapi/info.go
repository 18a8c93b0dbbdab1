package httpapi

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"cairn/adminapi"
)

type serverOutput struct{ Body adminapi.ServerInfo }

func (s *Server) getServer(ctx context.Context, _ *struct{}) (*serverOutput, error) {
	who := recordOf(ctx).caller
	reasons, cluster := s.readiness()
	return &serverOutput{Body: adminapi.ServerInfo{
		Name:          "cairn",
		Version:       s.options.Version,
		Started:       s.started.UTC(),
		UptimeSeconds: time.Since(s.started).Seconds(),
		Now:           s.engine.Now().Time(),
		Ready:         len(reasons) == 0,
		Reasons:       reasons,
		Caller:        who.name,
		Scope:         who.scope.String(),
		Open:          s.isOpen(),
		MaxValueSize:  s.options.MaxValueSize,
		Cluster:       cluster,
		Listening:     s.listening(),
	}}, nil
}

// listening lists where memcached's clients connect; never nil.
func (s *Server) listening() []adminapi.Listening {
	if s.options.Listening == nil {
		return []adminapi.Listening{}
	}
	return s.options.Listening()
}

type configOutput struct {
	Body map[string]string
}

// secretWords mark settings whose values are not shown.
var secretWords = []string{"token", "password", "secret"}

func (s *Server) getConfig(context.Context, *struct{}) (*configOutput, error) {
	shown := map[string]string{}
	for name, value := range s.options.Config() {
		if value != "" && isSecret(name) {
			value = "(hidden)"
		}
		shown[name] = value
	}
	return &configOutput{Body: shown}, nil
}

type settingsOutput struct{ Body adminapi.SettingList }

func (s *Server) getSettings(context.Context, *struct{}) (*settingsOutput, error) {
	out := &settingsOutput{adminapi.SettingList{Settings: []adminapi.Setting{}}}
	if s.options.Settings == nil {
		return out, nil
	}
	for _, setting := range s.options.Settings() {
		if setting.Value != "" && isSecret(setting.Name) {
			setting.Value = "(hidden)"
		}
		out.Body.Settings = append(out.Body.Settings, setting)
	}
	return out, nil
}

// isSecret reports whether a setting holds a secret itself rather than the
// name of a file with one.
func isSecret(name string) bool {
	name = strings.ToLower(name)
	if strings.HasSuffix(name, "file") {
		return false
	}
	for _, word := range secretWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

type logLevelOutput struct{ Body adminapi.LogLevel }

func (s *Server) getLogLevel(context.Context, *struct{}) (*logLevelOutput, error) {
	level := slog.LevelInfo
	if s.options.Level != nil {
		level = s.options.Level.Level()
	}
	return &logLevelOutput{Body: adminapi.LogLevel{Level: levelName(level)}}, nil
}

// levelName returns the highest named level that is not above level.
func levelName(level slog.Level) string {
	switch {
	case level < slog.LevelInfo:
		return "debug"
	case level < slog.LevelWarn:
		return "info"
	case level < slog.LevelError:
		return "warn"
	}
	return "error"
}

func (s *Server) putLogLevel(ctx context.Context, in *struct{ Body adminapi.LogLevel }) (*logLevelOutput, error) {
	if s.options.Level == nil {
		return nil, huma.Error501NotImplemented("the log level of this server is fixed")
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(in.Body.Level)); err != nil {
		return nil, invalid("body.level", err)
	}
	before := levelName(s.options.Level.Level())
	s.options.Level.Set(level)
	note(ctx, "log level "+before+" -> "+in.Body.Level)
	return &logLevelOutput{Body: in.Body}, nil
}
