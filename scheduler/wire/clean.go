package wire

// CleanHandler is the name under which an agent offers CleanHost.
const CleanHandler = "xdist/clean"

// CleanOptions say what Clean is to do. The zero value says what would be removed.
type CleanOptions struct {
	Place  string `cbor:"1,keyasint"`           // where trees go on the host
	Remove bool   `cbor:"2,keyasint,omitempty"` // what was found
	Force  bool   `cbor:"3,keyasint,omitempty"` // even when a run uses it
}

// Leftovers is what xdist has left on a host for one user.
type Leftovers struct {
	Found []Leftover `cbor:"1,keyasint,omitempty"` // in the order in which it is removed: the agent that is asked is the last
	Busy  []string   `cbor:"2,keyasint,omitempty"` // locks that runs hold; nothing was removed then, unless it was forced
}

// Leftover is a directory that xdist has made.
type Leftover struct {
	Path    string `cbor:"1,keyasint"`
	Kind    string `cbor:"2,keyasint"` // for people: mirror, test binaries, agent, cover data, work files, store of a run, trial
	Bytes   int64  `cbor:"3,keyasint"`
	Problem string `cbor:"4,keyasint,omitempty"` // why it could not be removed
}
