package httpapi

import (
	"context"
	"math"
	"time"

	"cairn/adminapi"
	"cairn/session"
)

type forecastInput struct {
	Slots  int   `query:"slots" minimum:"1" maximum:"10000" default:"60" doc:"Most slots in the answer; it chooses their width to fit."`
	Within int64 `query:"within_seconds" minimum:"1" maximum:"3155760000" doc:"Spans only for what expires within so many seconds; default: all that expires."`
}

// horizon returns the minute from which on nothing is asked for.
func (in *forecastInput) horizon(now session.Time) session.Time {
	if in.Within == 0 {
		return session.Never
	}
	return now.Add(time.Duration(in.Within) * time.Second)
}

type forecastOutput struct{ Body adminapi.Forecast }

// forecastWidths are the lengths of span to choose from.
var forecastWidths = []time.Duration{
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 2 * 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour, 90 * 24 * time.Hour, 365 * 24 * time.Hour,
}

func (s *Server) getForecast(_ context.Context, in *forecastInput) (*forecastOutput, error) {
	minutes := s.engine.Forecast()
	f := adminapi.Forecast{Now: s.engine.Now().Time(), Slots: []adminapi.ForecastSlot{}}
	if n := len(minutes); n > 0 && minutes[n-1].From == session.Never {
		f.Never = adminapi.ForecastTotal{Sessions: minutes[n-1].Items, Bytes: minutes[n-1].Bytes}
		minutes = minutes[:n-1]
	}
	f.Total = f.Never
	f.Median = median(minutes, s.engine.Now()).Seconds()
	near := len(minutes)
	for horizon := in.horizon(s.engine.Now()); near > 0 && minutes[near-1].From >= horizon; near-- {
		f.Later.Sessions += minutes[near-1].Items
		f.Later.Bytes += minutes[near-1].Bytes
	}
	f.Total.Sessions += f.Later.Sessions
	f.Total.Bytes += f.Later.Bytes
	minutes = minutes[:near]
	width := forecastWidth(minutes, in.Slots)
	f.WidthSeconds = int64(width / time.Second)
	for _, m := range minutes {
		addMinute(&f, m, width)
	}
	return &forecastOutput{Body: f}, nil
}

// median returns how long it takes until half of what expires has expired, to the
// minute.
func median(minutes []session.ForecastSlot, now session.Time) time.Duration {
	var total, passed int64
	for _, m := range minutes {
		total += m.Items
	}
	for _, m := range minutes {
		if passed += m.Items; 2*passed >= total {
			return max(0, time.Duration(m.From-now)*time.Millisecond) + time.Minute
		}
	}
	return 0
}

// forecastWidth returns the shortest width with which the minutes fit into so
// many slots; beyond the listed ones, a year times a power of two.
func forecastWidth(minutes []session.ForecastSlot, slots int) time.Duration {
	if len(minutes) == 0 {
		return forecastWidths[0]
	}
	first, last := minutes[0].From, minutes[len(minutes)-1].From
	fits := func(width time.Duration) bool {
		ms := session.Time(width.Milliseconds())
		return int64(last/ms-first/ms) < int64(slots)
	}
	for _, width := range forecastWidths {
		if fits(width) {
			return width
		}
	}
	width := forecastWidths[len(forecastWidths)-1]
	for !fits(width) && width < math.MaxInt64/2 {
		width *= 2
	}
	return width
}

// addMinute counts a minute in the span it belongs to. Minutes come in order.
func addMinute(f *adminapi.Forecast, m session.ForecastSlot, width time.Duration) {
	f.Total.Sessions += m.Items
	f.Total.Bytes += m.Bytes
	ms := session.Time(width.Milliseconds())
	from := *jsonTime(m.From / ms * ms)
	if n := len(f.Slots); n == 0 || !f.Slots[n-1].From.Equal(from) {
		f.Slots = append(f.Slots, adminapi.ForecastSlot{From: from})
	}
	slot := &f.Slots[len(f.Slots)-1]
	slot.Sessions += m.Items
	slot.Bytes += m.Bytes
}
