package adminapi

import "time"

// Forecast says how much expires when. Spans without any are left out.
type Forecast struct {
	Now          time.Time      `json:"now"`
	WidthSeconds int64          `json:"width_seconds" doc:"Length of each span."`
	Slots        []ForecastSlot `json:"slots" nullable:"false" doc:"Ascending; every span begins at a multiple of the width since 1970."`
	Later        ForecastTotal  `json:"later" doc:"What expires after the time asked for, and is in no span."`
	Median       float64        `json:"median_seconds" doc:"In so many seconds half of the sessions that expire will have expired."`
	Never        ForecastTotal  `json:"never" doc:"What does not expire."`
	Total        ForecastTotal  `json:"total"`
}

// ForecastSlot counts what expires in one span of time.
type ForecastSlot struct {
	From     time.Time `json:"from" doc:"Begin of the span."`
	Sessions int64     `json:"sessions"`
	Bytes    int64     `json:"bytes" doc:"Of keys and uncompressed values."`
}

// ForecastTotal sums up sessions.
type ForecastTotal struct {
	Sessions int64 `json:"sessions"`
	Bytes    int64 `json:"bytes"`
}
