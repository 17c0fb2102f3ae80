package gateway_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gateway/keyed"
)

// anotherProgram is a copy of this test binary with a digest of its own, as a user's program has
// one, and the configuration of a group whose agents it is.
func anotherProgram(t *testing.T) (gateway.Agent, gateway.Config) {
	t.Helper()
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	content := append(self, t.Name()...) // what follows an executable does not matter to it
	sum := sha256.Sum256(content)
	a := gateway.Agent{Path: filepath.Join(t.TempDir(), "program"), Digest: hex.EncodeToString(sum[:]), Args: []string{agentRole}}
	if err := os.WriteFile(a.Path, content, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := config()
	cfg.Agent = func(_ context.Context, goos, goarch string) (gateway.Agent, error) {
		if goos != runtime.GOOS || goarch != runtime.GOARCH {
			return a, fmt.Errorf("asked for %s/%s", goos, goarch)
		}
		return a, nil
	}
	return a, cfg
}

// takePrograms runs a server that takes programs, with a cache of its own.
func takePrograms(t *testing.T, s *gateway.SocketServer) (addr, cache string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("skipped: what follows an executable matters there")
	}
	cache = t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return ln.Addr().String(), cache
}

// inCache are the files below a cache, but for locks.
func inCache(t *testing.T, cache string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(cache, func(name string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() != ".use.lock" {
			names = append(names, strings.TrimPrefix(name, cache+"/"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// calls uses a gateway.
func calls(t *testing.T, gw *gateway.Gateway) {
	t.Helper()
	ch := remoteExec(t, gw, "increment", nil)
	send(t, ch, 41)
	if got := receive[int](t, ch); got != 42 {
		t.Errorf("got %d", got)
	}
}

// A client's own program runs on a server that has never seen it. It comes once, for many gateways
// of one group that open at once, and not again for the next group.
func TestSocketRunsTheClientsProgram(t *testing.T) {
	key, name := keyIn(t)
	addr, cache := takePrograms(t, &gateway.SocketServer{Key: key})
	program, cfg := anotherProgram(t)
	m := newProxy(t, addr)
	text := "socket=" + m.addr + "//key=" + name
	gws, err := newGroup(t, cfg).OpenAll(t.Context(), "6*"+text)
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join("xdist", "agents", program.Digest, "xdist")
	for _, gw := range gws {
		calls(t, gw)
		if got := gw.Info().Executable; got != filepath.Join(cache, kept) {
			t.Errorf("the agent is %s", got)
		}
	}
	if got := inCache(t, cache); !slices.Equal(got, []string{kept}) {
		t.Errorf("the cache has %q", got)
	}
	info, err := os.Stat(program.Path)
	if err != nil {
		t.Fatal(err)
	}
	once := m.sent.Load()
	if once > info.Size() {
		t.Errorf("%d bytes for a program of %d: it came more than once", once, info.Size())
	}
	calls(t, openIn(t, newGroup(t, cfg), text))
	if more := m.sent.Load() - once; more > 100_000 {
		t.Errorf("%d bytes more for a program that is there", more)
	}
}

// Two clients that do not know of each other send the same program at once.
func TestSocketProgramOfTwoClients(t *testing.T) {
	key, name := keyIn(t)
	addr, cache := takePrograms(t, &gateway.SocketServer{Key: key})
	_, cfg := anotherProgram(t)
	var wg sync.WaitGroup
	for range 3 {
		g := newGroup(t, cfg)
		wg.Go(func() {
			gw, err := g.Open(t.Context(), "socket="+addr+"//key="+name)
			if err == nil {
				_, err = gw.Status(t.Context())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := inCache(t, cache); len(got) != 1 {
		t.Errorf("the cache has %q", got)
	}
}

// A client of the server's own program sends nothing.
func TestSocketProgramThatIsTheServers(t *testing.T) {
	key, name := keyIn(t)
	addr, cache := takePrograms(t, &gateway.SocketServer{Key: key})
	gw := open(t, "socket="+addr+"//key="+name)
	calls(t, gw)
	self, err := os.Executable()
	if got := gw.Info().Executable; err != nil || got != self {
		t.Errorf("the agent is %s, this test %s, %v", got, self, err)
	}
	if got := inCache(t, cache); len(got) > 0 {
		t.Errorf("the cache has %q", got)
	}
}

// A program is taken by a joiner, too, for its agents.
func TestJoinerRunsTheControllersProgram(t *testing.T) {
	key, name := keyIn(t)
	if runtime.GOOS == "windows" {
		t.Skip("skipped: what follows an executable matters there")
	}
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	program, cfg := anotherProgram(t)
	l := listenIn(t, newGroup(t, cfg), "key="+name)
	m := newProxy(t, l.Addr().String())
	ctx, cancel := context.WithCancel(context.Background())
	joined := make(chan error, 1)
	go func() { joined <- (&gateway.Joiner{Key: key, Agents: 3}).Join(ctx, m.addr) }()
	for range 3 {
		gw := accept(t, l)
		calls(t, gw)
		if got := gw.Info().Executable; got != filepath.Join(cache, "xdist", "agents", program.Digest, "xdist") {
			t.Errorf("the agent is %s", got)
		}
	}
	info, err := os.Stat(program.Path)
	if err != nil {
		t.Fatal(err)
	}
	if n := m.sent.Load(); n > info.Size() {
		t.Errorf("%d bytes for a program of %d: it came more than once", n, info.Size())
	}
	cancel()
	if err := <-joined; !errors.Is(err, context.Canceled) {
		t.Errorf("join: %v", err)
	}
}

// wanted is a request for a program, and frame a frame, as they go over the wire.
type wanted struct {
	Grace   int64 `cbor:"2,keyasint"`
	Program struct {
		Digest   string   `cbor:"1,keyasint,omitempty"`
		Size     int64    `cbor:"2,keyasint,omitempty"`
		Platform string   `cbor:"3,keyasint,omitempty"`
		Args     []string `cbor:"4,keyasint,omitempty"`
	} `cbor:"3,keyasint"`
}

func (w wanted) bytes(t *testing.T) string {
	t.Helper()
	b, err := cbor.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	return request(2, uint32(len(b)), string(b))
}

func frame(kind byte, content string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(content)))) + content
}

func packed(t *testing.T, content string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, content) // a buffer takes all
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// socketAnswer is what a server answers.
type socketAnswer struct {
	Error    string `cbor:"1,keyasint"`
	Platform string `cbor:"2,keyasint"`
	Need     bool   `cbor:"3,keyasint"`
}

func readAnswer(t *testing.T, conn io.Reader) (a socketAnswer) {
	t.Helper()
	head := make([]byte, 14+2+4)
	if _, err := io.ReadFull(conn, head); err != nil {
		t.Fatalf("no answer: %v", err)
	}
	content := make([]byte, binary.BigEndian.Uint32(head[16:]))
	if _, err := io.ReadFull(conn, content); err != nil {
		t.Fatal(err)
	}
	if err := cbor.Unmarshal(content, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// wantProgram connects and asks for an agent that is a program.
func wantProgram(t *testing.T, key keyed.Key, addr, digest string, size int64) net.Conn {
	t.Helper()
	conn, err := key.Client(t.Context(), dialTCP(t, addr))
	if err != nil {
		t.Fatal(err)
	}
	var w wanted
	w.Program.Digest, w.Program.Size = digest, size
	io.WriteString(conn, w.bytes(t)) // what can be read tells more
	return conn
}

// Clients that have the key lie about their programs. Each gets an error that says what is wrong,
// nothing is started, nothing is left, and the server goes on.
func TestSocketServerRefusesPrograms(t *testing.T) {
	key, name := keyIn(t)
	log := newJournal()
	addr, cache := takePrograms(t, &gateway.SocketServer{Key: key, HandshakeTimeout: time.Second, ProgramsSize: 64 << 20, Logger: log.logger()})
	const content = "#!/bin/sh\nexit 7\n"
	sum := sha256.Sum256([]byte(content))
	digest := hex.EncodeToString(sum[:])
	const size = int64(len(content))
	bomb := packed(t, strings.Repeat("\x00", 50<<20))
	for _, tc := range []struct {
		name   string
		digest string
		size   int64
		said   string // after the server has said that it needs the program
		want   string // "" is that no answer can come
	}{
		{"no digest", "x", size, "", "hexadecimal digits"},
		{"path", "../../" + digest[6:], size, "", "hexadecimal digits"},
		{"no size", digest, 0, "", "0 bytes is not taken"},
		{"less than nothing", digest, -5, "", "is not taken"},
		{"size without end", digest, 1 << 62, "", "the limit is 67108864"},
		{"more than there is", digest, size + 1, frame(9, packed(t, content)) + frame(2, ""), "17 bytes instead of 18"},
		{"less than there is", digest, size - 1, frame(9, packed(t, content)) + frame(2, ""), "goes on after 16 bytes"},
		{"bomb", digest, size, frame(9, bomb) + frame(2, ""), "goes on after 17 bytes"},
		{"flood", digest, size, strings.Repeat(frame(9, strings.Repeat("x", 60_000)), 20), "invalid header"},
		{"huge frame", digest, size, "\x09\xff\xff\xff\xff", "more comes than"},
		{"another", strings.Repeat("0", 64), size, frame(9, packed(t, content)) + frame(2, ""), "its digest is " + digest},
		{"not packed", digest, size, frame(9, content) + frame(2, ""), "invalid header"},
		{"two in one", digest, 2 * size, frame(9, packed(t, content)+packed(t, content)) + frame(2, ""), "its digest is"},
		{"nothing", digest, size, frame(2, ""), "EOF"},
		{"empty frames", digest, size, frame(9, ""), "kind 9 with 0 bytes"},
		{"another frame", digest, size, frame(1, "x"), "kind 1 with 1 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn := wantProgram(t, key, addr, tc.digest, tc.size)
			a := readAnswer(t, conn)
			if a.Need {
				io.WriteString(conn, tc.said) // it may have hung up
				a = readAnswer(t, conn)
			}
			if !strings.Contains(a.Error, tc.want) || a.Error == "" {
				t.Errorf("the answer is %+v, want %q", a, tc.want)
			}
			conn.Close()
			if got := inCache(t, cache); len(got) > 0 {
				t.Errorf("the cache has %q", got)
			}
		})
	}
	t.Run("never finishing", func(t *testing.T) {
		conns := make(map[net.Conn]string)
		for _, said := range []string{"", frame(9, packed(t, content))} {
			conn := wantProgram(t, key, addr, digest, size)
			if a := readAnswer(t, conn); !a.Need {
				t.Fatalf("the answer is %+v", a)
			}
			io.WriteString(conn, said)
			conns[conn] = fmt.Sprintf("only %d bytes have come in", max(0, len(said)-5))
		}
		for conn, want := range conns {
			if a := readAnswer(t, conn); !strings.Contains(a.Error, want) {
				t.Errorf("the answer is %+v, want %q", a, want)
			}
		}
		if got := inCache(t, cache); len(got) > 0 {
			t.Errorf("the cache has %q", got)
		}
	})
	t.Run("gone", func(t *testing.T) {
		conn := wantProgram(t, key, addr, digest, size)
		if a := readAnswer(t, conn); !a.Need {
			t.Fatalf("the answer is %+v", a)
		}
		log.drain("")
		conn.Close()
		log.await(t, "refused")
		if got := inCache(t, cache); len(got) > 0 {
			t.Errorf("the cache has %q", got)
		}
	})
	if started := log.drain("agent started"); len(started) > 0 {
		t.Errorf("agents: %v", started)
	}
	works(t, "socket="+addr+"//key="+name)
}

// A server tells its platform to who asks, or has the wrong one, and does not go on for ever.
func TestSocketServerTellsItsPlatform(t *testing.T) {
	key, _ := keyIn(t)
	addr, _ := takePrograms(t, &gateway.SocketServer{Key: key})
	conn, err := key.Client(t.Context(), dialTCP(t, addr))
	if err != nil {
		t.Fatal(err)
	}
	var w wanted
	for range 4 {
		io.WriteString(conn, w.bytes(t))
		if a := readAnswer(t, conn); a.Platform != runtime.GOOS+"/"+runtime.GOARCH || a.Error != "" {
			t.Errorf("the answer is %+v", a)
		}
		w.Program.Digest, w.Program.Size, w.Program.Platform = strings.Repeat("0", 64), 1, "plan9/mips"
	}
	io.WriteString(conn, w.bytes(t))
	if a := readAnswer(t, conn); !strings.Contains(a.Error, "no program for") {
		t.Errorf("at last the answer is %+v", a)
	}
}

// A server that asks without end is given up.
func TestSocketClientIsNotAskedForEver(t *testing.T) {
	b, err := cbor.Marshal(map[int]string{2: runtime.GOOS + "/" + runtime.GOARCH})
	if err != nil {
		t.Fatal(err)
	}
	ask := request(2, uint32(len(b)), string(b))
	need := request(2, 3, "\xa1\x03\xf5")
	for _, tc := range []struct{ said, want string }{
		{strings.Repeat(ask, 20), "asked more than"},
		{strings.Repeat(need, 20), "nobody has named"},
		{ask + strings.Repeat(need, 20), "asked more than"},
		{request(2, 8, "\xa1\x02\x65linux"), "platform"},
	} {
		_, err := newGroup(t, config()).Open(t.Context(), "socket="+impostor(t, tc.said))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%.60q: got %v, want %q", tc.said, err, tc.want)
		}
	}
}

// A program that cannot be made for the server's platform is the client's error.
func TestSocketProgramThatThereIsNot(t *testing.T) {
	key, name := keyIn(t)
	addr, _ := takePrograms(t, &gateway.SocketServer{Key: key})
	cfg := config()
	cfg.Agent = func(context.Context, string, string) (gateway.Agent, error) {
		return gateway.Agent{}, errors.New("it does not compile")
	}
	_, err := newGroup(t, cfg).Open(t.Context(), "socket="+addr+"//key="+name)
	if failed, ok := errors.AsType[*gateway.PhaseError](err); !ok || failed.Phase != gateway.PhaseProbe || !strings.Contains(err.Error(), "it does not compile") {
		t.Errorf("got %v", err)
	}
}

// A server that is killed while a program comes leaves what the next one removes.
func TestSocketServerIsKilledWhileAProgramComes(t *testing.T) {
	key, name := keyIn(t)
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	server := exec.Command(os.Args[0], serverRole, name, "take")
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Process.Kill()
	var addr string
	if _, err := fmt.Fscanln(out, &addr); err != nil {
		t.Fatal(err)
	}
	conn := wantProgram(t, key, addr, strings.Repeat("0", 64), 1000)
	if a := readAnswer(t, conn); !a.Need {
		t.Fatalf("the answer is %+v", a)
	}
	server.Process.Kill()
	server.Wait()
	if got := inCache(t, cache); len(got) != 2 {
		t.Errorf("the killed server has left %q", got)
	}
	serveSocket(t, &gateway.SocketServer{Key: keyed.Generate()})
	awaitEmpty(t, cache)
}

// awaitEmpty waits until a cache has no file.
func awaitEmpty(t *testing.T, cache string) {
	t.Helper()
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for len(inCache(t, cache)) > 0 {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("the cache has %q", inCache(t, cache))
		}
	}
}
