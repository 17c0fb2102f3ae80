package reporters

import (
	"errors"
	"io"

	"gotest.tools/gotestsum/testjson"
)

var errScanStopped = errors.New("the scan has stopped")

// scan is one testjson.ScanTestOutput over a whole run: testjson's Execution is only whole when one
// scan made it.
//
// It owns one goroutine, which runs until finish, or until the handler returns an error; finish
// joins it. put and putErr must not be called at the same time as each other or as finish.
type scan struct {
	stdout *io.PipeWriter
	stderr *io.PipeWriter
	donec  chan struct{} // closed by the goroutine as its last act
	exec   *testjson.Execution
	err    error // both valid once donec is closed
}

func startScan(handler testjson.EventHandler) *scan {
	outr, outw := io.Pipe()
	errr, errw := io.Pipe()
	stop := func() {
		outr.CloseWithError(errScanStopped)
		errr.CloseWithError(errScanStopped)
	}
	s := &scan{stdout: outw, stderr: errw, donec: make(chan struct{})}
	go func() {
		defer close(s.donec)
		s.exec, s.err = testjson.ScanTestOutput(testjson.ScanConfig{
			Stdout:  outr,
			Stderr:  errr,
			Handler: handler,
			Stop:    stop,
		})
	}()
	return s
}

// put hands one line with its newline to the scan and returns when the handler has returned from
// its event. The error is the one that ended the scan.
func (s *scan) put(line []byte) error { return s.write(s.stdout, line) }

// putErr is put for lines of standard error.
func (s *scan) putErr(lines []byte) error { return s.write(s.stderr, lines) }

func (s *scan) write(w *io.PipeWriter, lines []byte) error {
	_, err := w.Write(lines)
	if err == nil {
		// The first write returns when the scanner has the bytes. An empty one returns when it
		// reads again, which it does when it has handled every line it had.
		_, err = w.Write(nil)
	}
	if err == nil {
		return nil
	}
	<-s.donec
	return s.err
}

// finish ends the scan and waits for it. The Execution is never nil.
func (s *scan) finish() (*testjson.Execution, error) {
	s.stdout.Close()
	s.stderr.Close()
	<-s.donec
	return s.exec, s.err
}
