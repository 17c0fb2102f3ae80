package scheduler

import (
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
)

// WorkerHandler is the name under which an agent offers Work.
const WorkerHandler = "xdist/worker"

// workerArgs starts a worker.
type workerArgs struct {
	Env   []string `cbor:"1,keyasint,omitempty"` // replaces or adds to the agent's own environment
	Guest bool     `cbor:"2,keyasint,omitempty"` // the host is not the controller's: it is not to be cleaned meanwhile
	Slot  int      `cbor:"3,keyasint"`           // on the host
}

// assignment is what the controller sends to a worker. Exactly one field is set.
type assignment struct {
	Run  *order `cbor:"1,keyasint,omitempty"`
	Stop bool   `cbor:"2,keyasint,omitempty"` // end the unit that runs now, whose report comes as always; no other follows

	digest string // of Run's binary; not sent
	host   string // token of the host that Run is meant for as it is; "" for the controller's paths; not sent
}

// order is a unit to run. A worker has at most one at a time.
type order struct {
	Package      string        `cbor:"1,keyasint"`
	Binary       string        `cbor:"2,keyasint"` // path on the worker's host
	Args         []string      `cbor:"3,keyasint"`
	Exec         []string      `cbor:"4,keyasint,omitempty"`
	Dir          string        `cbor:"5,keyasint"`
	Env          []string      `cbor:"6,keyasint,omitempty"` // replaces or adds to the worker's environment
	Names        []string      `cbor:"7,keyasint"`           // null is the whole package
	Timeout      time.Duration `cbor:"8,keyasint"`
	CoverProfile bool          `cbor:"9,keyasint,omitempty"`
	CoverMeta    string        `cbor:"10,keyasint,omitempty"`
	Streamed     bool          `cbor:"11,keyasint,omitempty"`
	Delay        time.Duration `cbor:"12,keyasint,omitempty"` // before the process is started
	// TestTimeout and TestTimeouts are those of unit.Unit.
	TestTimeout  time.Duration            `cbor:"13,keyasint,omitempty"`
	TestTimeouts map[string]time.Duration `cbor:"14,keyasint,omitempty"`
	Part         *unit.Part               `cbor:"15,keyasint,omitempty"` // of the test in Names
}

// report is what a worker sends: events of the unit that runs, in order, and at its end its profile and the result.
type report struct {
	Events []test2json.Event `cbor:"1,keyasint,omitempty"`
	Result *unit.Result      `cbor:"2,keyasint,omitempty"`
	// Profile is the next part of the cover profile, which can be larger than an item may be. All of it comes before Result, whose
	// own is empty.
	Profile []byte `cbor:"3,keyasint,omitempty"`
}
