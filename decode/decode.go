// Package decode makes the values of sessions readable for people: it
// recognises what common session libraries write and turns it into JSON.
//
// Nothing in a value is executed and no class of it is ever instantiated;
// pickle, Marshal and Java streams are read as data. Work and memory are
// bounded whatever the input: see MaxDepth, MaxMemory and MaxSteps.
package decode

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Limits of what is decoded. What goes beyond is shown as text or hex.
const (
	MaxDepth  = 64        // levels of nesting
	MaxInput  = 4 << 20   // bytes, also after decompression
	MaxOutput = 2 << 20   // bytes of JSON
	MaxText   = 256 << 10 // bytes of text shown
	MaxHex    = 64 << 10  // bytes shown in hex
)

// Format names how a value is written.
type Format string

// The formats. The empty one stands for recognising it.
const (
	JSON         Format = "json"
	PHP          Format = "php"           // serialize(), also handler php_serialize
	PHPSession   Format = "php_session"   // session handler php
	PHPBinary    Format = "php_binary"    // session handler php_binary
	Igbinary     Format = "igbinary"      // PHP's igbinary
	MessagePack  Format = "msgpack"       //
	Java         Format = "java"          // Java object serialization
	MSM          Format = "msm"           // memcached-session-manager
	MSMValidity  Format = "msm_validity"  // its entries validity:<id>
	Pickle       Format = "pickle"        // Python
	Marshal      Format = "marshal"       // Ruby
	DjangoSigned Format = "django_signed" // django.core.signing
	Text         Format = "text"
	Hex          Format = "hex"
)

// Hints are what is known of a value besides its bytes.
type Hints struct {
	Key   []byte
	Flags uint32 // the client's; libraries mark compression in them
}

// View is a value made readable. Exactly one of Value, Text and Hex is set.
type View struct {
	Format    Format          `json:"format" doc:"json, php, php_session, php_binary, igbinary, msgpack, java, msm, msm_validity, pickle, marshal, django_signed, text or hex."`
	Layers    []string        `json:"layers" nullable:"false" doc:"What was unwrapped first, outermost first, such as zlib."`
	Size      int             `json:"size" doc:"Bytes after unwrapping."`
	Value     json.RawMessage `json:"value,omitempty" doc:"The value as JSON. Members that begin with @ are notes: @class, @bytes (base64 of what is not UTF-8), @ref (path of an equal value shown before)."`
	Text      string          `json:"text,omitempty"`
	Hex       string          `json:"hex,omitempty"`
	Truncated bool            `json:"truncated,omitempty" doc:"Text or hex shows only the beginning."`
}

var errNotThis = errors.New("the value is not in this format")

// decoder reads a value that is whole in its format, or fails.
type decoder struct {
	format Format
	decode func(b *budget, data []byte, h Hints) (any, error)
}

// decoders are tried in this order: those that can be sure first.
var decoders = []decoder{
	{Java, decodeJava},
	{MSMValidity, decodeMSMValidity},
	{MSM, decodeMSM},
	{Igbinary, decodeIgbinary},
	{Pickle, decodePickle},
	{Marshal, decodeMarshal},
	{JSON, decodeJSON},
	{PHP, decodePHP},
	{PHPSession, decodePHPSession},
	{PHPBinary, decodePHPBinary},
	{DjangoSigned, decodeDjangoSigned},
	{MessagePack, decodeMessagePack},
}

// Formats names all formats, those that are recognised first at the beginning.
func Formats() []string {
	var names []string
	for _, d := range decoders {
		names = append(names, string(d.format))
	}
	return append(names, string(Text), string(Hex))
}

// Value recognises the format of a value and decodes it. What no format fits,
// or what would cost too much, is shown as text or hex: it fails only if ctx
// ends, with ctx's error.
func Value(ctx context.Context, value []byte, h Hints) (View, error) {
	return recognise(newBudget(ctx), value, h)
}

func recognise(b *budget, value []byte, h Hints) (View, error) {
	data, layers := unwrap(b, value, h)
	view := View{Layers: layers, Size: len(data)}
	for _, d := range decoders {
		if view.read(b, d, data, h) == nil {
			return view, nil
		}
	}
	view.show(data)
	return view, b.ctx.Err()
}

// As decodes a value that is known, or guessed, to be in a format; the empty
// one is that of Value. It fails if the value is not in it, if there is no such
// format, or if ctx ends.
func As(ctx context.Context, format Format, value []byte, h Hints) (View, error) {
	return newBudget(ctx).as(format, value, h)
}

func (b *budget) as(format Format, value []byte, h Hints) (View, error) {
	if format == "" {
		return recognise(b, value, h)
	}
	data, layers := unwrap(b, value, h)
	view := View{Layers: layers, Size: len(data)}
	switch format {
	case Text:
		view.showText(data)
		return view, nil
	case Hex:
		view = View{Layers: []string{}, Size: len(value)}
		view.showHex(value)
		return view, nil
	}
	i := slices.IndexFunc(decoders, func(d decoder) bool { return d.format == format })
	if i < 0 {
		return View{}, fmt.Errorf("there is no format %q", format)
	}
	return view, view.read(b, decoders[i], data, h)
}

// read fills the view if the decoder understands all of data.
func (v *View) read(b *budget, d decoder, data []byte, h Hints) error {
	if len(data) > MaxInput {
		return errTooLarge
	}
	tree, err := d.decode(b, data, h)
	if err != nil {
		return err
	}
	value, err := render(b, tree)
	if err != nil {
		return err
	}
	v.Format, v.Value = d.format, value
	return nil
}

// show chooses between text and hex.
func (v *View) show(data []byte) {
	if isText(data[:min(len(data), MaxText)]) {
		v.showText(data)
	} else {
		v.showHex(data)
	}
}

func (v *View) showText(data []byte) {
	v.Format = Text
	v.Truncated = len(data) > MaxText
	v.Text = string(bytes.ToValidUTF8(data[:min(len(data), MaxText)], []byte("\uFFFD")))
}

func (v *View) showHex(data []byte) {
	v.Format = Hex
	v.Truncated = len(data) > MaxHex
	v.Hex = hex.EncodeToString(data[:min(len(data), MaxHex)])
}

// partialRune is the length of the incomplete character that data ends with.
func partialRune(data []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(data); n++ {
		if b := data[len(data)-n]; utf8.RuneStart(b) {
			if utf8.FullRune(data[len(data)-n:]) {
				return 0
			}
			return n
		}
	}
	return 0
}

// isText reports whether data is UTF-8 without control characters other than
// white space.
func isText(data []byte) bool {
	for _, b := range data {
		if b < ' ' && b != '\n' && b != '\r' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return utf8.Valid(data[:len(data)-partialRune(data)])
}
