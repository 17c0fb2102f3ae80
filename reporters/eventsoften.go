package reporters

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

// appendOften appends the line of an event that comes often, newline included, and reports false
// for other events. The lines are those of encoding/json, at a fifth of its cost. A time or a
// duration that JSON cannot hold is left out: a worker may say anything.
func appendOften(dst []byte, ev event.Event) ([]byte, bool) {
	switch ev := ev.(type) {
	case event.Test:
		return append(appendTest(dst, &ev), "}\n"...), true
	case event.Progress:
		dst = appendHead(dst, `{"event":"progress"`, ev.Time)
		dst = appendAlways(dst, `,"action":`, ev.Action)
		dst = appendAlways(dst, `,"gateway":`, ev.Gateway)
		dst = appendAlways(dst, `,"package":`, ev.Package)
		dst = appendAlways(dst, `,"test":`, ev.Test)
		dst = appendNumber(dst, `,"expected":`, ev.Expected.Seconds())
		return append(dst, "}\n"...), true
	}
	return dst, false
}

// appendVerdict appends the line of a verdict, as encoding/json would.
func appendVerdict(dst []byte, l *verdictLine) []byte {
	dst = appendAlways(append(dst, `{"event":"verdict"`...), `,"id":`, l.ID)
	dst = appendText(dst, `,"platform":`, l.Platform)
	dst = appendText(dst, `,"gateway":`, l.Gateway)
	dst = appendAlways(dst, `,"verdict":`, l.Verdict)
	dst = appendNumber(dst, `,"elapsed":`, l.Elapsed)
	dst = appendNumber(dst, `,"expected":`, l.Expected)
	dst = appendNumber(dst, `,"failures":`, float64(l.Failures))
	return append(appendText(dst, `,"reason":`, l.Reason), "}\n"...)
}

// appendNumber leaves out 0.
func appendNumber(dst []byte, name string, value float64) []byte {
	if value == 0 {
		return dst
	}
	return appendFloat(append(dst, name...), value)
}

// appendFloat adds a number as encoding/json has it.
func appendFloat(dst []byte, value float64) []byte {
	if size := math.Abs(value); size >= 1e-6 && size < 1e21 || size == 0 {
		return strconv.AppendFloat(dst, value, 'f', -1, 64)
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic("BUG: write a number: " + err.Error()) // callers have looked
	}
	return append(dst, text...)
}

func appendTest(dst []byte, ev *event.Test) []byte {
	dst = appendHead(dst, `{"event":"test"`, ev.Time)
	dst = appendAlways(dst, `,"action":`, ev.Action)
	dst = appendText(dst, `,"package":`, ev.Package)
	dst = appendText(dst, `,"importPath":`, ev.ImportPath)
	dst = appendText(dst, `,"test":`, ev.Event.Test)
	dst = appendText(dst, `,"gateway":`, ev.Gateway)
	dst = appendText(dst, `,"platform":`, ev.Platform)
	if ev.Attempt != 0 {
		dst = strconv.AppendInt(append(dst, `,"attempt":`...), int64(ev.Attempt), 10)
	}
	if ev.Again {
		dst = append(dst, `,"again":true`...)
	}
	if ev.Elapsed != nil && !math.IsNaN(*ev.Elapsed) && !math.IsInf(*ev.Elapsed, 0) {
		dst = appendFloat(append(dst, `,"elapsed":`...), *ev.Elapsed)
	}
	dst = appendText(dst, `,"output":`, ev.Output)
	dst = appendText(dst, `,"failedBuild":`, ev.FailedBuild)
	dst = appendText(dst, `,"key":`, ev.Key)
	dst = appendText(dst, `,"value":`, ev.Value)
	return appendText(dst, `,"path":`, ev.Path)
}

func appendHead(dst []byte, head string, at time.Time) []byte {
	dst = append(dst, head...)
	if at.IsZero() || at.Year() < 0 || at.Year() > 9999 { // which RFC 3339 has no form for
		return dst
	}
	dst = append(dst, `,"time":"`...)
	return append(at.AppendFormat(dst, time.RFC3339Nano), '"')
}

func appendAlways(dst []byte, name, value string) []byte {
	return test2json.AppendString(append(dst, name...), value)
}

func appendText(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendAlways(dst, name, value)
}
