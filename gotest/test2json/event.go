package test2json

import "time"

// Actions of an Event, the ones of cmd/test2json and of `go test -json`.
const (
	ActionStart       = "start"
	ActionRun         = "run"
	ActionPause       = "pause"
	ActionCont        = "cont"
	ActionPass        = "pass"
	ActionBench       = "bench"
	ActionFail        = "fail"
	ActionOutput      = "output"
	ActionSkip        = "skip"
	ActionAttr        = "attr"
	ActionArtifacts   = "artifacts"
	ActionBuildOutput = "build-output"
	ActionBuildFail   = "build-fail"
)

// Event is one line of `go test -json`. Its JSON form is what cmd/test2json and cmd/go write, field
// for field and in their order; its CBOR form is what a worker sends to the controller.
//
// Output is always valid UTF-8: a byte that is not is replaced by U+FFFD, as in cmd/test2json.
type Event struct {
	Time        time.Time `json:"Time,omitzero" cbor:"1,keyasint,omitzero"`
	Action      string    `json:"Action" cbor:"2,keyasint"`
	ImportPath  string    `json:"ImportPath,omitempty" cbor:"3,keyasint,omitempty"` // build-output and build-fail only
	Package     string    `json:"Package,omitempty" cbor:"4,keyasint,omitempty"`
	Test        string    `json:"Test,omitempty" cbor:"5,keyasint,omitempty"`
	Elapsed     *float64  `json:"Elapsed,omitempty" cbor:"6,keyasint,omitempty"` // seconds
	Output      string    `json:"Output,omitempty" cbor:"7,keyasint,omitempty"`
	FailedBuild string    `json:"FailedBuild,omitempty" cbor:"8,keyasint,omitempty"` // the ImportPath of the build-fail event
	Key         string    `json:"Key,omitempty" cbor:"9,keyasint,omitempty"`         // attr
	Value       string    `json:"Value,omitempty" cbor:"10,keyasint,omitempty"`      // attr
	Path        string    `json:"Path,omitempty" cbor:"11,keyasint,omitempty"`       // artifacts
}

// Terminal reports whether the event ends a test or a package.
func (e Event) Terminal() bool {
	return e.Action == ActionPass || e.Action == ActionFail || e.Action == ActionSkip
}
