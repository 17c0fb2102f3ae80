package hosts

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest/store"
	"github.com/xdist-go/xdist/rsync"
)

// What the hosts' goroutines post to the loop.
type (
	// BinaryFound says that a host has a binary, and how many bytes per second came to it
	// meanwhile, or 0.
	BinaryFound struct {
		Token, Digest string
		Link          float64
	}
	// BinariesListed says which binaries a host has had from the beginning.
	BinariesListed struct {
		Token   string
		Digests []string
	}
	// Elsewhere says that a directory is another user's on a host, which has its mirror in Dir.
	Elsewhere struct{ Hostname, Taken, Dir string }
	// Sending says how many bytes have been sent to a host so far: of the tree, packed, and of
	// binaries.
	Sending struct {
		Hostname string
		Bytes    int64
	}
)

// ErrDamaged says that a binary of the controller is not what its digest says: no host can have it.
var ErrDamaged = errors.New("the test binary is damaged")

// leastSent is how many bytes must have been sent to tell something of a link: less takes a round
// trip more than anything else.
const leastSent = 2 << 20

// tellSentEvery is how often the loop is told of what is sent to a host, at most.
const tellSentEvery = 250 * time.Millisecond

// tellSent counts what was sent to a host, and tells the loop now and then.
func (hs *Set) tellSent(gw *gateway.Gateway, h *Host, bytes int) {
	all, now := h.carried.Add(int64(bytes)), time.Now().UnixNano()
	last := h.toldOf.Load()
	if now-last >= int64(tellSentEvery) && h.toldOf.CompareAndSwap(last, now) {
		hs.tell(Sending{gw.Info().Hostname, all})
	}
}

// list asks a host which binaries it has, beside the sync of its tree, which takes no less than the
// answer. It closes what it returns when the loop was told. Without an answer nothing is known,
// which costs time and no test.
func (hs *Set) list(ctx context.Context, gw *gateway.Gateway, h *Host) <-chan struct{} {
	listed := make(chan struct{})
	if hs.Shared(h) {
		close(listed)
		return listed
	}
	go func() {
		defer close(listed)
		if digests, err := rsync.ListBlobs(ctx, gw); err == nil {
			hs.tell(BinariesListed{h.Token, digests})
		}
	}()
	return listed
}

// put sends a binary to a host, unless it is there, and tells the loop. That knows it by the digest
// known, of the binary that it was built in place of. What other goroutines send to the same host
// meanwhile counts as well: they share the link.
func (hs *Set) put(ctx context.Context, gw *gateway.Gateway, h *Host, known, path string, o rsync.PutOptions) (string, error) {
	var begun time.Time
	var before int64
	o.Sent = func(bytes int) {
		if begun.IsZero() {
			begun, before = time.Now(), h.sent.Load()
		}
		h.sent.Add(int64(bytes))
		hs.tellSent(gw, h, bytes)
	}
	there, err := rsync.PutBlob(ctx, gw, path, o)
	if d, parseErr := store.ParseDigest(o.Digest); err != nil && parseErr == nil && store.Differs(ctx, path, d) {
		err = errors.Join(ErrDamaged, err)
	}
	if err != nil {
		return "", fmt.Errorf("send %s to gateway %s: %w", filepath.Base(path), gw.ID(), err)
	}
	found := BinaryFound{Token: h.Token, Digest: known}
	if bytes := h.sent.Load() - before; !begun.IsZero() && bytes >= leastSent {
		found.Link = float64(bytes) / time.Since(begun).Seconds()
	}
	hs.tell(found)
	return there, nil
}
