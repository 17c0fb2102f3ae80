package gateway

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/xdist-go/xdist/internal/cmdline"
)

// sshProcess is a program on a host, in a session of a shared connection. It owns the goroutines
// that carry its bytes and listen to its end; they end with the session, or at the latest with the
// connection, which joins them. x/crypto's own Session is not used because it does not tell that
// the program has ended as long as something that it started keeps its output open.
type sshProcess struct {
	conn *sshConn
	ch   ssh.Channel
	tail tail

	endedc   chan struct{} // closed when status is set: the program, or the session, has ended
	status   string
	errDonec chan struct{} // closed when stderr was read to its end
	killOnce sync.Once
	killedc  chan struct{} // closed by kill

	mu     sync.Mutex // guards the fields below
	pid    int        // of the agent, on the host; 0 when not known
	users  int        // of wait and the bytes, who still need the connection
	silent bool       // it was killed, and the host has not said that it has ended
}

// sshConnection are the bytes of a session. Pumps stand between so that Close wakes everybody at
// once, whether the host answers or not.
type sshConnection struct {
	in  *io.PipeReader
	out *io.PipeWriter

	once sync.Once
	over func() // called once, by Close
}

func (c *sshConnection) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *sshConnection) Write(p []byte) (int, error) { return c.out.Write(p) }

// Close lets what was written go out, and then the end.
func (c *sshConnection) Close() error {
	c.out.Close() // neither fails
	c.in.Close()
	c.once.Do(c.over)
	return nil
}

// startSession runs a command line in a session of the connection. The endpoint takes over the
// caller's share in the connection.
func (c *sshConn) startSession(command string, copyTo io.Writer) (*endpoint, error) {
	ch, reqs, err := c.client.OpenChannel("session", nil)
	if err != nil {
		return nil, err
	}
	c.opened()
	p := &sshProcess{
		conn: c, ch: ch,
		endedc: make(chan struct{}), errDonec: make(chan struct{}), killedc: make(chan struct{}), users: 2,
	}
	ok, err := ch.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{command}))
	if err == nil && !ok {
		err = errors.New("the host refuses to run commands")
	}
	if err != nil {
		ch.Close()
		c.client.Go(func() { ssh.DiscardRequests(reqs) })
		c.closed()
		return nil, err
	}
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	c.client.Go(func() { p.listen(reqs) })
	c.client.Go(func() { p.readStderr(copyTo) })
	c.client.Go(func() {
		err := pumpSSH(inWrite, ch)
		inWrite.CloseWithError(c.endOf(err))
	})
	c.client.Go(func() {
		err := pumpSSH(ch, outRead)
		outRead.CloseWithError(c.endOf(err))
		ch.CloseWrite() // the host may have closed it already
	})
	return &endpoint{conn: &sshConnection{in: inRead, out: outWrite, over: p.leave}, proc: p}, nil
}

// endOf is why a session, or the opening of one, ended with err: because the host has not answered,
// if it was that.
func (c *sshConn) endOf(err error) error {
	if silence := c.client.Silence(); silence > 0 {
		return fmt.Errorf("%w for %v", ErrLease, silence)
	}
	return err
}

// endsWithin waits for the end of the connection, and reports whether it has come. In x/crypto a
// session that is opened while a connection ends may never be answered, so that it is better not
// tried, and never waited for.
func (c *sshConn) endsWithin(d time.Duration) bool {
	if d > 0 {
		within(d, c.client.Done())
	}
	return c.isDead()
}

// pumpSize is the size in bytes of what is carried at once; ssh's packets have at most 32 KiB.
const pumpSize = 32 << 10

// pumpSSH copies until one side ends, and returns why: io.EOF when it was in order.
func pumpSSH(w io.Writer, r io.Reader) error {
	if _, err := io.CopyBuffer(onlyWriter{w}, onlyReader{r}, make([]byte, pumpSize)); err != nil {
		return err
	}
	return io.EOF
}

type onlyWriter struct{ io.Writer }
type onlyReader struct{ io.Reader }

// listen waits for the end of the program.
func (p *sshProcess) listen(reqs <-chan *ssh.Request) {
	var once sync.Once
	end := func(status string) {
		once.Do(func() {
			p.status = status
			close(p.endedc)
		})
	}
	for req := range reqs {
		switch req.Type {
		case "exit-status":
			if len(req.Payload) >= 4 {
				end(fmt.Sprintf("exit status %d", int32(binary.BigEndian.Uint32(req.Payload))))
			}
		case "exit-signal":
			var msg struct {
				Signal string
				Core   bool
				Text   string
				Lang   string
			}
			if ssh.Unmarshal(req.Payload, &msg) == nil {
				end(signalStatus(msg.Signal, msg.Core))
			}
		}
		if req.WantReply {
			req.Reply(false, nil) // fails only with the connection
		}
	}
	end("") // the session is over, and how the program ended is not known
}

// sshSignals are the names that os.ProcessState has for ssh's signals.
var sshSignals = map[string]string{
	"ABRT": "aborted", "ALRM": "alarm clock", "FPE": "floating point exception", "HUP": "hangup", "ILL": "illegal instruction",
	"INT": "interrupt", "KILL": "killed", "PIPE": "broken pipe", "QUIT": "quit", "SEGV": "segmentation fault", "TERM": "terminated",
	"USR1": "user defined signal 1", "USR2": "user defined signal 2",
}

func signalStatus(name string, core bool) string {
	status := "signal: " + cmdline.Printable(name)
	if s, ok := sshSignals[name]; ok {
		status = "signal: " + s
	}
	if core {
		status += " (core dumped)"
	}
	return status
}

func (p *sshProcess) readStderr(copyTo io.Writer) {
	defer close(p.errDonec)
	var w io.Writer = &p.tail
	if copyTo != nil {
		w = io.MultiWriter(&p.tail, copyTo)
	}
	io.Copy(w, p.ch.Stderr()) // how stderr ended is of no interest
}

// silentWait is how long a host may take to tell that a program has ended that was killed.
const silentWait = time.Second

func (p *sshProcess) wait() string {
	defer p.leave()
	select {
	case <-p.endedc:
	case <-p.killedc:
		if !within(silentWait, p.endedc) {
			p.conn.suspect()
		}
	}
	answered := p.endLeftovers()
	within(stderrWait, p.errDonec)
	p.conn.client.Go(func() { p.ch.Close() }) // may block when the host does not read
	select {
	case <-p.endedc:
		return p.status
	default:
		p.mu.Lock()
		p.silent = !answered
		p.mu.Unlock()
		return ""
	}
}

// mayRun reports, after wait, whether nobody knows that the program has ended.
func (p *sshProcess) mayRun() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.silent
}

// lostWait is how long the end of the connection may come after that of the session, when that has
// ended without a word.
func (p *sshProcess) lostWait() time.Duration {
	select {
	case <-p.endedc:
		if p.status == "" {
			return stderrWait
		}
	default:
	}
	return 0
}

// leftoversWait bounds the end of what an agent has left behind.
const leftoversWait = 2 * time.Second

// endLeftovers kills what is left of the login session that the agent has led, with a command of
// its own. It reports whether the host has answered that, or there was nothing to ask for.
func (p *sshProcess) endLeftovers() (answered bool) {
	p.mu.Lock()
	pid := p.pid
	p.mu.Unlock()
	if pid == 0 || p.conn.endsWithin(p.lostWait()) {
		return true
	}
	answerc := make(chan error, 1)
	go func() { // ends with the host's answer, or with the connection
		s, err := p.conn.client.NewSession()
		if err == nil {
			defer s.Close()
			s.Stdin = strings.NewReader(endSessionScript(pid) + "\n")
			s.Run(shellCommand) // whether there was anything to kill is of no interest
		}
		answerc <- err // refused, or the connection has ended
	}()
	late := time.NewTimer(leftoversWait)
	defer late.Stop()
	select {
	case err := <-answerc:
		return err == nil
	case <-p.conn.client.Done():
	case <-late.C:
	}
	return false
}

// leads tells the process id of the agent on its host.
func (p *sshProcess) leads(pid int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pid = pid
}

// leave is called by wait and by Close of the bytes, which go on to give what has arrived after the
// end of the process. The second gives the share in the connection back.
func (p *sshProcess) leave() {
	p.mu.Lock()
	p.users--
	last := p.users == 0
	p.mu.Unlock()
	if last {
		p.conn.closed()
		p.conn.release()
	}
}

func (p *sshProcess) stderr() string { return p.tail.String() }

func (p *sshProcess) interrupt() { p.signal(ssh.SIGTERM) }

// signal asks the host to send a signal to the program's process group. Not every host does it.
func (p *sshProcess) signal(s ssh.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users == 0 {
		return
	}
	p.conn.client.Go(func() { // may block when the host does not read
		p.ch.SendRequest("signal", false, ssh.Marshal(struct{ Signal string }{string(s)}))
	})
}

// kill ends the program by a signal and the end of its session; what is left of it is ended when
// wait has seen its end.
func (p *sshProcess) kill() {
	p.killOnce.Do(func() {
		p.signal(ssh.SIGKILL)
		close(p.killedc)
	})
}
