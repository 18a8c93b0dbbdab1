package httpapi

import (
	"context"
	"errors"
	"math"
	"time"

	"cairn/adminapi"
	"cairn/history"
)

// History keeps figures over time.
type History interface {
	Query(history.Query) history.Answer
}

// noHistory stands in where none is kept.
type noHistory struct{}

func (noHistory) Query(q history.Query) history.Answer {
	if q.To.IsZero() {
		q.To = time.Now()
	}
	if q.From.IsZero() {
		q.From = q.To.Add(-time.Hour)
	}
	return history.Answer{From: q.From, To: q.To}
}

type historyInput struct {
	From   time.Time `query:"from" doc:"The begin; default: an hour before to."`
	To     time.Time `query:"to" doc:"The end; default: now."`
	Points int       `query:"points" minimum:"1" maximum:"2000" default:"600" doc:"Most points in the answer; samples are joined to fit."`
}

type historyOutput struct{ Body adminapi.History }

func (s *Server) getHistory(_ context.Context, in *historyInput) (*historyOutput, error) {
	if !in.From.IsZero() && !in.To.IsZero() && !in.From.Before(in.To) {
		return nil, invalid("query.from", errors.New("from must be before to"))
	}
	a := s.history.Query(history.Query{From: in.From, To: in.To, Points: in.Points})
	body := adminapi.History{
		From: a.From.UTC(), To: a.To.UTC(), StepSeconds: a.Step.Seconds(), Figures: []adminapi.HistoryFigure{},
		Points: make([]adminapi.HistoryPoint, len(a.Points)), Events: make([]adminapi.HistoryEvent, len(a.Events)),
	}
	for _, f := range history.Figures() {
		joined := "mean"
		if f.Max {
			joined = "max"
		}
		body.Figures = append(body.Figures, adminapi.HistoryFigure{Name: f.Name, Unit: f.Unit, Help: f.Help, Joined: joined})
	}
	for i, p := range a.Points {
		body.Points[i] = adminapi.HistoryPoint{At: p.At.UTC(), Values: make([]*float64, len(p.Values))}
		for j, v := range p.Values {
			if !math.IsNaN(v) {
				body.Points[i].Values[j] = &v
			}
		}
	}
	for i, e := range a.Events {
		body.Events[i] = adminapi.HistoryEvent{At: e.At.UTC(), Until: e.Until.UTC(), Kind: string(e.Kind), Detail: e.Detail}
	}
	return &historyOutput{body}, nil
}
