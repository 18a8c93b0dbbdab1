package httpapi

import (
	"math"
	"testing"
	"time"

	"cairn/adminapi"
	"cairn/history"
)

// fakeHistory has one point and one event of each kind in whatever is asked for.
type fakeHistory struct{}

func (fakeHistory) Query(q history.Query) history.Answer {
	at := time.Unix(1_800_000_000, 0)
	a := history.Answer{From: at, To: at.Add(time.Hour), Step: 10 * time.Second}
	for _, kind := range history.Kinds {
		a.Events = append(a.Events, history.Event{At: at, Until: at, Kind: kind, Detail: "detail"})
	}
	values := make([]float64, len(history.Figures()))
	for i := range values {
		values[i] = float64(i)
	}
	values[1] = math.NaN()
	a.Points = []history.Point{{At: at, Values: values}}
	return a
}

// What is not known is null, and each value belongs to a figure.
func TestHistory(t *testing.T) {
	h := start(t, Options{History: fakeHistory{}})
	client := &adminapi.Client{Base: h.http.URL}
	got, err := client.History(t.Context(), adminapi.HistoryQuery{From: time.Unix(1, 0), To: time.Unix(2, 0), Points: 7})
	if err != nil {
		t.Fatal(err)
	}
	values := got.Points[0].Values
	if len(values) != len(got.Figures) || *values[0] != 0 || values[1] != nil || *values[2] != 2 {
		t.Errorf("values %v of %d figures", values, len(got.Figures))
	}
	if got.StepSeconds != 10 || len(got.Events) != len(history.Kinds) {
		t.Errorf("step %v, events %+v", got.StepSeconds, got.Events)
	}
	none, err := (&adminapi.Client{Base: start(t, Options{}).http.URL}).History(t.Context(), adminapi.HistoryQuery{})
	if err != nil || len(none.Points) != 0 || none.To.Sub(none.From) != time.Hour {
		t.Errorf("without a history: %+v, %v", none, err)
	}
}
