package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

const (
	plotWidth  = 16 * vg.Centimeter
	plotHeight = 10 * vg.Centimeter
)

// palette tells lines apart also for the colour-blind (after Okabe and Ito).
var palette = []color.RGBA{
	{0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x72, 0xb2, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
	{0xe6, 0x9f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0x33, 0x33, 0x33, 0xff},
}

// lineColour is the colour of a plot's i-th line.
func lineColour(i int) color.RGBA { return palette[i%len(palette)] }

var shapes = []draw.GlyphDrawer{
	draw.CircleGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.CrossGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{},
}

// SVG draws the plot as an element to be put into a page, without a legend.
func (p *Plot) SVG() ([]byte, error) {
	drawn := plot.New()
	drawn.Title.Text, drawn.X.Label.Text, drawn.Y.Label.Text = p.Title, p.XLabel, p.YLabel
	drawn.X.Padding, drawn.Y.Padding = 0, 0
	for _, style := range []*draw.TextStyle{
		&drawn.Title.TextStyle, &drawn.X.Label.TextStyle, &drawn.Y.Label.TextStyle, &drawn.X.Tick.Label, &drawn.Y.Tick.Label,
	} {
		style.Font.Variant = "Sans"
	}
	drawn.Add(plotter.NewGrid())
	for i, line := range p.Lines {
		if err := p.addLine(drawn, line, i); err != nil {
			return nil, fmt.Errorf("report: plot %q: %w", p.Title, err)
		}
	}
	p.scale(drawn)
	canvas := vgsvg.New(plotWidth, plotHeight)
	drawn.Draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("report: plot %q: %w", p.Title, err)
	}
	start := bytes.Index(b.Bytes(), []byte("<svg"))
	return b.Bytes()[max(start, 0):], nil
}

func (p *Plot) addLine(drawn *plot.Plot, line Line, i int) error {
	var points plotter.XYs
	for _, point := range line.Points {
		if p.LogX && point.X <= 0 || p.LogY && point.Y <= 0 {
			continue
		}
		x := point.X
		if p.Percentiles {
			x = nines(x)
		}
		points = append(points, plotter.XY{X: x, Y: point.Y})
	}
	if len(points) == 0 {
		return nil
	}
	curve, marks, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	curve.Color, curve.Width = lineColour(i), vg.Points(1.5)
	marks.Color, marks.Shape, marks.Radius = curve.Color, shapes[i%len(shapes)], vg.Points(2)
	if len(points) > 60 {
		drawn.Add(curve)
	} else {
		drawn.Add(curve, marks)
	}
	return nil
}

// scale sets the axes after all lines are there.
func (p *Plot) scale(drawn *plot.Plot) {
	widen(&drawn.X, p.LogX)
	widen(&drawn.Y, p.LogY)
	if p.Percentiles {
		drawn.X.Min = 0
		drawn.X.Tick.Marker = percentileTicks{}
	}
	if !p.LogY {
		drawn.Y.Min = math.Min(drawn.Y.Min, 0)
	}
}

// widen gives an axis a scale, and room where a line has no extent.
func widen(axis *plot.Axis, logarithmic bool) {
	switch {
	case math.IsInf(axis.Min, 0) || math.IsInf(axis.Max, 0): // no line at all
		axis.Min, axis.Max = 1, 10
	case axis.Min == axis.Max && logarithmic:
		axis.Min, axis.Max = axis.Min/2, axis.Max*2
	case axis.Min == axis.Max:
		axis.Max++
	}
	if logarithmic {
		axis.Scale = plot.LogScale{}
		axis.Tick.Marker = decadeTicks{}
	}
}

// nines maps a percentage so that 0, 90, 99, 99.9 become 0, 1, 2, 3; what is
// nearer to 100 than 99.999 stays there.
func nines(percent float64) float64 {
	return math.Min(-math.Log10(math.Max(1-percent/100, 1e-12)), 5)
}

type percentileTicks struct{}

func (percentileTicks) Ticks(_, high float64) []plot.Tick {
	var ticks []plot.Tick
	for _, percent := range []float64{0, 50, 90, 99, 99.9, 99.99, 99.999} {
		if at := nines(percent); at <= high+1e-9 {
			ticks = append(ticks, plot.Tick{Value: at, Label: strconv.FormatFloat(percent, 'f', -1, 64)})
		}
	}
	return ticks
}

// decadeTicks labels 1, 2 and 5 times the powers of ten, or the powers alone
// where the axis spans many.
type decadeTicks struct{}

func (decadeTicks) Ticks(low, high float64) []plot.Tick {
	steps := []float64{1, 2, 5}
	if math.Log10(high/low) > 3 {
		steps = steps[:1]
	}
	var ticks []plot.Tick
	for decade := math.Floor(math.Log10(low)); decade <= math.Log10(high); decade++ {
		for _, step := range steps {
			if at := step * math.Pow(10, decade); low <= at*(1+1e-9) && at <= high*(1+1e-9) {
				ticks = append(ticks, plot.Tick{Value: at, Label: Quantity(at)})
			}
		}
	}
	return ticks
}
