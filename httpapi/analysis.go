package httpapi

import (
	"context"
	"errors"

	"github.com/danielgtaylor/huma/v2"

	"cairn/adminapi"
	"cairn/analysis"
)

type analysisInput struct {
	Rule        string `query:"rule" doc:"Only keys of the rule with this name."`
	Prefix      string `query:"prefix" doc:"Only keys that begin with this (a namespace)."`
	KeyEncoding string `query:"key_encoding" enum:"percent,base64url" default:"percent" doc:"How prefix is written."`
	Sample      int    `query:"sample" minimum:"1" maximum:"100000" default:"10000" doc:"About how many sessions to look at."`
}

type analysisOutput struct{ Body adminapi.Analysis }

func (s *Server) getAnalysis(ctx context.Context, in *analysisInput) (*analysisOutput, error) {
	prefix, err := decodePrefix(in.Prefix, keyEncoding(in.KeyEncoding))
	if err != nil {
		return nil, invalid("query.prefix", err)
	}
	if !s.hasRule(in.Rule) {
		return nil, invalid("query.rule", errors.New("there is no such rule"))
	}
	if !s.analyses.tryAcquire() {
		return nil, huma.Error429TooManyRequests("another analysis is under way; try again when it is done")
	}
	defer s.analyses.release()
	found, err := analysis.Run(ctx, analysis.Options{
		Source: s.engine, Rules: s.options.Rules, Rule: in.Rule, Prefix: prefix, Sample: in.Sample,
	})
	if err != nil {
		return nil, failure(err)
	}
	return &analysisOutput{found}, nil
}

// hasRule reports whether there is a rule with a name; "" stands for any.
func (s *Server) hasRule(name string) bool {
	if name == "" {
		return true
	}
	if s.options.Rules == nil {
		return false
	}
	for _, rule := range s.options.Rules.Set().Rules() {
		if rule.Name == name {
			return true
		}
	}
	return false
}
