package gateway

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/xdist-go/xdist/internal/programs"
)

type patientConn struct{ deadlineConn }

func (patientConn) SetDeadline(time.Time) error { return nil }

// FuzzSocketProgram has a client say anything where it is asked for a program. Nothing panics, and
// nothing is left that is not the program.
func FuzzSocketProgram(f *testing.F) {
	const content = "#!/bin/sh\n"
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte(content)) // a buffer takes all
	z.Close()
	sum := sha256.Sum256([]byte(content))
	digest := hex.EncodeToString(sum[:])
	greet := func(p programRequest) []byte {
		b, err := socketGreeting(socketMagic, socketRequest{Program: &p})
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	frames := socketBytes(socketProgram, packed.String(), socketEnd, "")
	f.Add(append(greet(programRequest{Digest: digest, Size: int64(len(content)), Args: []string{"agent"}}), frames...))
	f.Add(append(greet(programRequest{}), greet(programRequest{Digest: digest, Size: 10, Platform: ownPlatform()})...))
	f.Add(greet(programRequest{Digest: "..", Size: -1, Wrap: []string{"env"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		home := t.TempDir()
		t.Setenv("XDG_CACHE_HOME", home)
		conn := patientConn{deadlineConn{replayConn{r: bytes.NewReader(b)}}}
		c := newSocketClient(conn, conn, time.Minute)
		var request socketRequest
		if err := readSocketGreeting(c.in, socketMagic, &request); err != nil {
			return
		}
		args, done, err := c.choose(nil, programs.New(1<<20), &request)
		if err != nil {
			var left []string
			filepath.WalkDir(home, func(name string, d fs.DirEntry, err error) error {
				if err == nil && d.Type().IsRegular() {
					left = append(left, name)
				}
				return nil
			})
			if len(left) > 0 {
				t.Errorf("%q are left after %v", left, err)
			}
			return
		}
		defer done()
		if request.Program != nil && len(args) != len(request.Program.Wrap)+1+len(request.Program.Args) {
			t.Errorf("%q is to be started for %+v", args, *request.Program)
		}
	})
}
