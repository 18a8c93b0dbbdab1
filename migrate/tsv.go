package migrate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"cairn/session"
)

// maxTSVLine bounds a line, in bytes: a value of 64 MB in base64 and the rest.
const maxTSVLine = 96 << 20

// TSV emits the sessions of a table: a line each, with key, expiry and value
// between tabs. The expiry is in seconds since 1970, 0 for a session that never
// ends; the value is in base64. `mysql -B -N` writes such lines. In a key, \t,
// \n, \0 and \\ stand for the bytes that mysql writes so.
//
// A line that makes no sense is skipped and named by its number. Sessions that
// have ended are counted as gone.
func TSV(ctx context.Context, in io.Reader, o Options, emit Emit) (summary Summary, err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), maxTSVLine)
	now := time.Now()
	n := 0
	for lines.Scan() {
		if err := ctx.Err(); err != nil {
			return summary, err
		}
		n++
		if len(lines.Bytes()) == 0 {
			continue
		}
		r, err := parseTSV(lines.Bytes())
		switch {
		case err != nil:
			summary.skip(&o, fmt.Appendf(nil, "line %d", n), err.Error())
		case !r.Expires.IsZero() && !r.Expires.After(now):
			summary.Gone++
		default:
			if err := emit(0, r); err != nil {
				return summary, err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return summary, fmt.Errorf("line %d: %w", n+1, err)
	}
	return summary, nil
}

var unescapeTSV = map[byte]byte{'t': '\t', 'n': '\n', '0': 0, '\\': '\\'}

func parseTSV(line []byte) (*Record, error) {
	fields := bytes.Split(bytes.TrimSuffix(line, []byte("\r")), []byte("\t"))
	if len(fields) != 3 {
		return nil, fmt.Errorf("it has %d columns instead of key, expiry and value", len(fields))
	}
	key, err := unescape(fields[0])
	if err != nil {
		return nil, err
	}
	if !session.ValidKey(key) {
		return nil, fmt.Errorf("a key has 1 to %d bytes", session.MaxKeyLen)
	}
	expires, err := strconv.ParseFloat(string(fields[1]), 64)
	if err != nil || expires < 0 || math.IsNaN(expires) {
		return nil, errors.New("its expiry is not a number of seconds since 1970")
	}
	value, err := base64.StdEncoding.AppendDecode(nil, fields[2])
	if err != nil {
		return nil, errors.New("its value is not base64")
	}
	r := &Record{Key: key, Value: value}
	if expires > 0 && expires < float64(latest.Unix()) {
		r.Expires = time.UnixMilli(int64(expires * 1000))
	}
	return r, nil
}

func unescape(field []byte) ([]byte, error) {
	key := make([]byte, 0, len(field))
	for i := 0; i < len(field); i++ {
		if field[i] != '\\' {
			key = append(key, field[i])
			continue
		}
		i++
		if i == len(field) {
			return nil, errors.New("its key ends in a backslash")
		}
		b, ok := unescapeTSV[field[i]]
		if !ok {
			return nil, fmt.Errorf("its key has an unknown escape \\%c", field[i])
		}
		key = append(key, b)
	}
	return key, nil
}
