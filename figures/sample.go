package figures

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Samples are figures at one moment.
type Samples map[string][]Sample

// Sample is one figure of those with one name.
type Sample struct {
	Labels map[string]string
	Value  float64
	Times  Times // of a Timing; Value is 0 then
}

// Gather reads all that a registry has.
func Gather(from prometheus.Gatherer) (Samples, error) {
	families, err := from.Gather()
	if err != nil {
		return nil, err
	}
	samples := make(Samples, len(families))
	for _, family := range families {
		for _, m := range family.Metric {
			samples[family.GetName()] = append(samples[family.GetName()], sampleOf(m))
		}
	}
	return samples, nil
}

func sampleOf(m *dto.Metric) Sample {
	s := Sample{Labels: make(map[string]string, len(m.Label))}
	for _, l := range m.Label {
		s.Labels[l.GetName()] = l.GetValue()
	}
	switch {
	case m.Histogram != nil:
		s.Times = TimesOf(m.Histogram, time.Second)
	case m.Counter != nil:
		s.Value = m.Counter.GetValue()
	case m.Gauge != nil:
		s.Value = m.Gauge.GetValue()
	}
	return s
}

// find returns the sample that a path names: the name, and behind it perhaps
// one label, as in cairn_disk_written_bytes_total{purpose=wal}.
func (s Samples) find(path string) (Sample, bool) {
	name, label, labelled := strings.Cut(strings.TrimSuffix(path, "}"), "{")
	key, value, _ := strings.Cut(label, "=")
	for _, sample := range s[name] {
		if !labelled || sample.Labels[key] == value {
			return sample, true
		}
	}
	return Sample{}, false
}

// Fill sets the fields of the struct at to, and of the structs in it, that have
// a tag `metric:"name"` to the figures they name, which see Samples. Fields of
// figures that there are not keep their value. A Timing takes one word more:
// its "count", its "sum" in seconds, or a quantile in seconds, as in
// `metric:"cairn_commit_duration_seconds 0.99"`.
func (s Samples) Fill(to any) { s.fill(reflect.ValueOf(to).Elem()) }

func (s Samples) fill(v reflect.Value) {
	for i := range v.NumField() {
		field, tag := v.Field(i), v.Type().Field(i).Tag.Get("metric")
		switch {
		case tag != "":
			path, part, _ := strings.Cut(tag, " ")
			if sample, ok := s.find(path); ok {
				set(field, sample.part(part))
			}
		case field.Kind() == reflect.Struct && field.Type() != reflect.TypeFor[time.Time]():
			s.fill(field)
		}
	}
}

func (s *Sample) part(name string) float64 {
	switch name {
	case "":
		return s.Value
	case "count":
		return float64(s.Times.Count)
	case "sum":
		return s.Times.Sum.Seconds()
	}
	q, _ := strconv.ParseFloat(name, 64)
	return s.Times.Quantile(q).Seconds()
}

func set(field reflect.Value, value float64) {
	switch {
	case field.Kind() == reflect.Bool:
		field.SetBool(value != 0)
	case field.CanInt():
		field.SetInt(int64(value))
	case field.CanUint():
		field.SetUint(uint64(value))
	default:
		field.SetFloat(value)
	}
}

// Tags lists the figures that the fields of a struct of type t name, without
// the part of a Timing.
func Tags(t reflect.Type) (paths []string) {
	for i := range t.NumField() {
		field := t.Field(i)
		if tag := field.Tag.Get("metric"); tag != "" {
			path, _, _ := strings.Cut(tag, " ")
			paths = append(paths, path)
		} else if field.Type.Kind() == reflect.Struct && field.Type != reflect.TypeFor[time.Time]() {
			paths = append(paths, Tags(field.Type)...)
		}
	}
	return paths
}

// Has reports whether there is a figure that a tag names; see Fill.
func (s Samples) Has(path string) bool {
	_, ok := s.find(path)
	return ok
}
