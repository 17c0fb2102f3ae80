package gateway

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// lineFiles are files in the place of an interpreter's standard input and output.
func lineFiles(t *testing.T, says string) (conn *pipeConn, told string) {
	t.Helper()
	from, told := filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(from, []byte(says), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(told)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); out.Close() })
	return &pipeConn{in: in, out: out}, told
}

// FuzzScriptLines has a source write anything. Its lines are items up to the first that is no JSON
// value, and their values are those of the lines.
func FuzzScriptLines(f *testing.F) {
	for _, says := range []string{
		"1\n", "\n\n \t\n\"x\"\r\nnull", "1 2\n", "{\"a\": [1, 2.5, {\"b\": null}], \"a\": true}\n", "-9223372036854775808\n1e2\n1e999\n3",
		"hello\n", "\"\\ud800\xff\"", strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 65) + strings.Repeat("]", 65),
		"-0\n-0.0\n0.1\n18446744073709551615\n", strings.Repeat("[", 20_000), "1" + strings.Repeat("0", minItemSize),
	} {
		f.Add(says)
	}
	f.Fuzz(func(t *testing.T, says string) {
		conn, _ := lineFiles(t, says)
		synctest.Test(t, func(t *testing.T) {
			handlers := Handlers{"lines": func(ctx context.Context, ch *Channel, _ Item) error {
				return (&lineScript{ch: ch, conn: conn}).follow(ctx)
			}}
			var a answer
			frugally(t, 16<<20, func() { a = hear(t, nil, handlers, "lines", spoken{ends: true}) })
			large := a.failure != nil && strings.Contains(a.failure.Text, "too large") // the item, or a number
			if a.failure != nil && (len(a.failure.Text) > 2<<10 || !large && !strings.Contains(a.failure.Text, "no JSON value")) {
				t.Errorf("undocumented error %v", a.failure)
			}
			for line := range strings.SplitSeq(says, "\n") {
				line = strings.TrimSpace(line)
				switch {
				case line == "":
				case len(a.items) > 0:
					checkLine(t, line, a.items[0])
					a.items = a.items[1:]
				case a.failure == nil:
					t.Fatalf("%q is left out", line)
				case json.Valid([]byte(line)) && (!large || len(line) < minItemSize/4 && !strings.Contains(a.failure.Text, "number")):
					t.Fatalf("%q is refused: %v", line, a.failure)
				default:
					return
				}
			}
			if len(a.items) > 0 || a.failure != nil {
				t.Errorf("%d items are left, %v", len(a.items), a.failure)
			}
		})
	})
}

// checkLine compares the values of a line and of an item.
func checkLine(t *testing.T, line string, it Item) {
	t.Helper()
	var want any
	if err := json.Unmarshal([]byte(line), &want); err != nil {
		t.Errorf("%q is an item, %v", line, err)
	}
	got, err := toJSON(it)
	if _, deep := errors.AsType[*cbor.MaxNestedLevelError](err); deep {
		return
	}
	if err == nil {
		err = sameJSON(got, want)
	}
	if err != nil {
		t.Errorf("%q comes as %x: %v", line, []byte(it), err)
	}
}

func sameJSON(v, want any) error {
	text, err := json.Marshal(v)
	var got any
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	if err == nil && !reflect.DeepEqual(got, want) {
		err = fmt.Errorf("%v is not %v", got, want)
	}
	return err
}

// FuzzScriptItem sends any item to a source that speaks lines. It gets a line with its value, or
// none, with an error that says why.
func FuzzScriptItem(f *testing.F) {
	for _, v := range []any{
		nil, true, 23, -1, uint64(1<<64 - 1), int64(-1 << 63), 1.5, "Grüße\n", "\xff", []byte("bytes"), []any{1, []any{}}, map[string]any{"a": map[string]any{"b": nil}},
		new(big.Int).Lsh(big.NewInt(-3), 70), cbor.Tag{Number: 4711, Content: map[string]int{"a": 1}}, map[int]int{1: 2}, map[string]int{"\xff": 1, "\xfe": 2}, map[any]any{"a": 1, 2: 3}, time.Unix(1e9, 1).UTC(), Ref{Nonce: 1, ID: 2},
	} {
		f.Add(encoded(f, v))
	}
	for _, it := range []string{"\x19\x01", "\x05\x05", "\xff", "\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00", "\xf7", "\xf8\x20", "\xc1\x1b\x00\x00\x00\xff\xff\xff\xff\xff"} {
		f.Add([]byte(it))
	}
	f.Fuzz(func(t *testing.T, it []byte) {
		conn, told := lineFiles(t, "")
		synctest.Test(t, func(t *testing.T) {
			handlers := Handlers{"lines": func(ctx context.Context, ch *Channel, _ Item) error {
				return (&lineScript{ch: ch, conn: conn}).feed(ctx)
			}}
			var a answer
			frugally(t, 16<<20, func() { a = hear(t, nil, handlers, "lines", spoken{items: [][]byte{it}, ends: true}) })
			text, err := os.ReadFile(told)
			if err != nil {
				t.Fatal(err)
			}
			if len(it) == 0 || a.failure != nil {
				if len(text) > 0 || a.failure != nil && !strings.HasPrefix(a.failure.Text, "send to the script: ") {
					t.Errorf("it gets %q, %v", text, a.failure)
				}
				return
			}
			line, ended := bytes.CutSuffix(text, []byte("\n"))
			var v any
			if err := Item(it).Decode(&v); err != nil || !ended || bytes.Contains(line, []byte("\n")) {
				t.Fatalf("it gets %q of %x, %v", text, it, err)
			}
			if err := sameAsLine(v, line); err != nil {
				t.Errorf("it gets %q of %x: %v", line, it, err)
			}
		})
	})
}

// sameAsLine compares the value of an item with that of a line.
func sameAsLine(v any, line []byte) error {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	var got any
	if err := dec.Decode(&got); err != nil {
		return err
	}
	want, err := likeJSON(v)
	if err != nil {
		return nil // which of two values counts is not said
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%v is not %v", got, want)
	}
	again, err := fromJSON(line)
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case uint64, int64:
		if fmt.Sprint(again) != fmt.Sprint(v) {
			return fmt.Errorf("%v of it comes back as %v", v, again)
		}
	}
	return nil
}

var errTwice = errors.New("two names of a map are the same in JSON")

// likeJSON is the value of an item as encoding/json decodes that. Its error is errTwice.
func likeJSON(v any) (_ any, err error) {
	switch v := v.(type) {
	case nil, bool:
		return v, nil
	case string:
		return string([]rune(v)), nil // each byte that is none of a rune is replaced
	case []byte:
		return base64.StdEncoding.EncodeToString(v), nil
	case time.Time:
		return v.Format(time.RFC3339Nano), nil
	case big.Int:
		return json.Number(v.String()), nil
	case cbor.Tag:
		return likeJSON(v.Content)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			if list[i], err = likeJSON(v[i]); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[any]any:
		m := make(map[string]any, len(v))
		for k, x := range v {
			name := string([]rune(k.(string)))
			if _, twice := m[name]; twice {
				return nil, errTwice
			}
			if m[name], err = likeJSON(x); err != nil {
				return nil, err
			}
		}
		return m, nil
	}
	b, err := json.Marshal(v) // a number
	return json.Number(b), err
}
