package test2json

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// rawEvent is an event as cmd/test2json hands it to encoding/json.
type rawEvent struct {
	Time        *time.Time `json:",omitempty"`
	Action      string
	Package     string   `json:",omitempty"`
	Test        string   `json:",omitempty"`
	Elapsed     *float64 `json:",omitempty"`
	Output      rawText  `json:",omitempty"`
	FailedBuild string   `json:",omitempty"`
	Key         string   `json:",omitempty"`
	Value       string   `json:",omitempty"`
	Path        string   `json:",omitempty"`
}

type rawText []byte

func (b rawText) MarshalText() ([]byte, error) { return b, nil }

// FuzzAppendJSON holds AppendJSON against encoding/json, byte for byte.
func FuzzAppendJSON(f *testing.F) {
	f.Add("output", "TestA", []byte("a\xffb<>&\"\\\n\t\r\b\f\x00\x7f\u2028\u2029☺\xe2\x98"), "", "", "", 0.0, int64(0))
	f.Add("attr", "Tést", []byte(nil), "key", "va\xf0lue", "", -1.5e-7, int64(1e18))
	f.Add("artifacts", "T\x80", []byte("\\"), "", "", "/p/\xa0", 1e21, int64(123456789))
	f.Add("", "", []byte("\xed\xa0\x80"), "\xc0\x80", "", "", math.Copysign(0, -1), int64(-5e18))
	f.Fuzz(func(t *testing.T, action, test string, output []byte, key, value, path string, elapsed float64, nanos int64) {
		if math.IsInf(elapsed, 0) || math.IsNaN(elapsed) {
			elapsed = 123456789e-15
		}
		if strings.HasPrefix(action, "build") {
			t.Skip("build events are the go command's, not test2json's")
		}
		for _, s := range []string{string(output), key, value, path} {
			if strings.Contains(s, "\uFFFD") {
				t.Skip("a printed U+FFFD is the documented difference")
			}
		}
		at := time.Unix(0, nanos).In(time.FixedZone("", int(nanos%(24*3600))))
		want, err := json.Marshal(rawEvent{&at, action, "p", test, &elapsed, output, "fb", key, value, path})
		if err != nil {
			t.Fatal(err)
		}
		got := Event{
			Time: at, Action: action, Package: "p", Test: test, Elapsed: &elapsed, Output: validUTF8(string(output)),
			FailedBuild: "fb", Key: validUTF8(key), Value: validUTF8(value), Path: validUTF8(path),
		}.AppendJSON(nil)
		if string(want) != string(got) {
			t.Errorf("AppendJSON differs from encoding/json:\nwant %s\ngot  %s", want, got)
		}
	})
}

func TestAppendJSON(t *testing.T) {
	zero, nan := 0.0, math.NaN()
	for _, tt := range []struct {
		name string
		e    Event
		want string
	}{
		{"zero", Event{}, `{"Action":""}`},
		{"build output", Event{Action: ActionBuildOutput, ImportPath: "p [p.test]", Output: "# p\n"}, `{"ImportPath":"p [p.test]","Action":"build-output","Output":"# p\n"}`},
		{"build failure", Event{Action: ActionBuildFail, ImportPath: "p"}, `{"ImportPath":"p","Action":"build-fail"}`},
		{"failed build", Event{Action: ActionFail, Package: "p", Elapsed: &zero, FailedBuild: "q"}, `{"Action":"fail","Package":"p","Elapsed":0,"FailedBuild":"q"}`},
		{"not a number", Event{Action: ActionPass, Elapsed: &nan}, `{"Action":"pass"}`},
		{"year 10000", Event{Action: ActionPass, Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, `{"Action":"pass"}`},
		{"zone of a day", Event{Action: ActionPass, Time: time.Unix(0, 0).In(time.FixedZone("", 24*60*60))}, `{"Action":"pass"}`},
		{"U+FFFD", Event{Action: ActionOutput, Test: "T\uFFFD", Output: "\uFFFD"}, "{\"Action\":\"output\",\"Test\":\"T\uFFFD\",\"Output\":\"\\ufffd\"}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := string(tt.e.AppendJSON([]byte("before ")))
			if got != "before "+tt.want {
				t.Errorf("got  %s\nwant before %s", got, tt.want)
			}
			if !json.Valid([]byte(tt.want)) || !utf8.ValidString(got) {
				t.Error("not valid JSON")
			}
		})
	}
}
