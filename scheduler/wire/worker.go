package wire

import (
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
)

// WorkerHandler is the name under which an agent offers Work.
const WorkerHandler = "xdist/worker"

// Args starts a worker.
type Args struct {
	Env   []string `cbor:"1,keyasint,omitempty"` // replaces or adds to the agent's own environment
	Guest bool     `cbor:"2,keyasint,omitempty"` // the host is not the controller's: it is not to be cleaned meanwhile
	Slot  int      `cbor:"3,keyasint"`           // on the host
	// CacheSize bounds the binaries and agents that the run leaves on a Guest's host, in bytes;
	// negative is no bound.
	CacheSize int64 `cbor:"4,keyasint"`
}

// Assignment is what the controller sends to a worker. Exactly one field is set.
type Assignment struct {
	Run  *Order `cbor:"1,keyasint,omitempty"`
	Stop bool   `cbor:"2,keyasint,omitempty"` // end the unit that runs now, whose report comes as always; no other follows
	Quit bool   `cbor:"3,keyasint,omitempty"` // have its process show its goroutines, which ends it; the report comes as always; no other follows

	Digest string `cbor:"-"` // of Run's binary; not sent
	Host   string `cbor:"-"` // token of the host that Run is meant for as it is; "" for the controller's paths; not sent
	Heals  int    `cbor:"-"` // how often Run's binary was mended: what a host had of it before is not to be trusted; not sent

	Platform gotest.Platform `cbor:"-"` // that Run's binary was built for; not sent
}

// Order is a unit to run. A worker has at most one at a time.
type Order struct {
	Package      string        `cbor:"1,keyasint"`
	Binary       string        `cbor:"2,keyasint"` // path on the worker's host, where it is kept
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
	Limit        time.Duration `cbor:"16,keyasint,omitempty"` // of the process, which is interrupted then; 0 is none
	// TestTimeout and TestTimeouts are those of unit.Unit.
	TestTimeout  time.Duration            `cbor:"13,keyasint,omitempty"`
	TestTimeouts map[string]time.Duration `cbor:"14,keyasint,omitempty"`
	Part         *unit.Part               `cbor:"15,keyasint,omitempty"` // of the test in Names
}

// Report is what a worker sends: events of the unit that runs, in order, and at its end its profile
// and the result.
type Report struct {
	Events []test2json.Event `cbor:"1,keyasint,omitempty"`
	Result *unit.Result      `cbor:"2,keyasint,omitempty"`
	// Profile is the next part of the cover profile, which can be larger than an item may be. All
	// of it comes before Result, whose own is empty.
	Profile []byte `cbor:"3,keyasint,omitempty"`
	Warning string `cbor:"4,keyasint,omitempty"` // about the host, in the same words each time; it has nothing to do with the unit
}

// ProfilePart is how many bytes of a cover profile go into one item, far below the gateway's limit.
const ProfilePart = 1 << 20
