package rsync

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
)

func digestOf(content string) string {
	s := sha256.Sum256([]byte(content))
	return hex.EncodeToString(s[:])
}

// openBlobHost opens a gateway whose agent has its cache in a directory of the test's.
func openBlobHost(t *testing.T, cache string) *gateway.Gateway {
	return open(t, "XDG_CACHE_HOME="+cache, "LocalAppData="+cache, "HOME="+cache)
}

// TestBlob puts an executable, executes it, and puts it again, under another name too.
func TestBlob(t *testing.T) {
	here := newPlace(t)
	content := "#!/bin/sh\necho it runs\n"
	here.write("hello.test", content)
	gw := openBlobHost(t, t.TempDir())
	digest := digestOf(content)
	if all, err := ListBlobs(t.Context(), gw); err != nil || len(all) > 0 {
		t.Errorf("before: %q, %v", all, err)
	}
	for _, want := range []int{len(content), 0} {
		sent := 0
		p, err := PutBlob(t.Context(), gw, here.path("hello.test"), PutOptions{Digest: digest, Sent: func(n int) { sent += n }})
		if sent != want {
			t.Errorf("%d bytes were sent, want %d", sent, want)
		}
		if err != nil || !filepath.IsAbs(p) || filepath.Base(p) != "hello.test" || filepath.Base(filepath.Dir(p)) != digest {
			t.Fatalf("%q, %v", p, err)
		}
		if os.PathSeparator == '/' {
			if out, err := exec.Command(p).CombinedOutput(); string(out) != "it runs\n" {
				t.Errorf("%q, %v", out, err)
			}
		}
	}
	here.write("another.name", content)
	if p, err := PutBlob(t.Context(), gw, here.path("another.name"), PutOptions{Digest: digest, Sent: func(n int) { t.Errorf("%d bytes were sent again", n) }}); err != nil || filepath.Base(p) != "another.name" {
		t.Errorf("under another name: %q, %v", p, err)
	}
	if all, err := ListBlobs(t.Context(), gw); err != nil || !slices.Equal(all, []string{digest}) {
		t.Errorf("all: %q, %v", all, err)
	}
}

// TestBlobRefused has a wrong digest, a digest and names that would lead elsewhere.
func TestBlobRefused(t *testing.T) {
	here, cache := newPlace(t), t.TempDir()
	here.write("file", "content")
	gw := openBlobHost(t, cache)
	for _, digest := range []string{digestOf("other content"), "../../evil", strings.ToUpper(digestOf("content")), ""} {
		if p, err := PutBlob(t.Context(), gw, here.path("file"), PutOptions{Digest: digest}); err == nil {
			t.Errorf("%q: %q", digest, p)
		}
	}
	for _, name := range []string{"../evil", "/evil", "a/b", "", ".."} {
		ch, err := gw.RemoteExec(t.Context(), BlobHandler, blobArgs{Version: version, Put: &Blob{digestOf("x"), name, 1}})
		if err != nil {
			t.Fatal(err)
		}
		if err := ch.Receive(t.Context(), new(blobAnswer)); err == nil {
			t.Errorf("name %q is taken", name)
		}
		ch.Close()
	}
	left := place{t, cache}.lines()
	if strings.Contains(left, "evil") || strings.Contains(left, tempSuffix) {
		t.Errorf("left:\n%s", left)
	}
	if p, err := PutBlob(t.Context(), gw, here.path("file"), PutOptions{Digest: digestOf("content")}); err != nil {
		t.Errorf("after all that: %q, %v", p, err)
	}
}

// TestBlobByMany has eight gateways put the same blob at once.
func TestBlobByMany(t *testing.T) {
	here, cache := newPlace(t), t.TempDir()
	content := noise(4, 2<<20)
	here.write("file", content)
	errc := make(chan error)
	for range 8 {
		gw := openBlobHost(t, cache)
		go func() {
			p, err := PutBlob(t.Context(), gw, here.path("file"), PutOptions{Digest: digestOf(content)})
			if err == nil {
				if got, readErr := os.ReadFile(p); string(got) != content {
					err = errors.Join(readErr, errors.New("another content"))
				}
			}
			errc <- err
		}()
	}
	for range 8 {
		if err := <-errc; err != nil {
			t.Error(err)
		}
	}
}

// TestBlobResumes goes on from what an interrupted transfer has left.
func TestBlobResumes(t *testing.T) {
	here, cache := newPlace(t), t.TempDir()
	content := noise(5, 2<<20)
	here.write("file", content)
	gw := openBlobHost(t, cache)
	blob := Blob{digestOf(content), "file", int64(len(content))}
	ch, err := gw.RemoteExec(t.Context(), BlobHandler, blobArgs{Version: version, Put: &blob})
	if err != nil {
		t.Fatal(err)
	}
	var a blobAnswer
	here.do(ch.Receive(t.Context(), &a))
	c := newCodec()
	defer c.close()
	for i := range 4 {
		here.do(ch.Send(t.Context(), c.pack(dataPacket, []byte(content[i*pieceSize:(i+1)*pieceSize]))))
	}
	ch.Close()
	here.do(ch.WaitClose(t.Context()))
	var part string
	await(t, func() bool {
		matches, _ := filepath.Glob(filepath.Join(cache, "*", "blobs", blobTemp, "*"+tempSuffix))
		if len(matches) == 0 {
			matches, _ = filepath.Glob(filepath.Join(cache, "*", "*", "*", "blobs", blobTemp, "*"+tempSuffix)) // macOS: Library/Caches
		}
		if len(matches) == 1 {
			part = matches[0]
		}
		info, err := os.Stat(part)
		return err == nil && info.Size() == 4*pieceSize
	})
	p, err := PutBlob(t.Context(), gw, here.path("file"), PutOptions{Digest: blob.Digest})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(p); string(got) != content {
		t.Errorf("another content, %v", err)
	}
	if _, err := os.Stat(part); err == nil {
		t.Errorf("%s is still there", part)
	}
}

// TestKeepBlob has a file of the host itself among its blobs, by a link and by a copy.
func TestKeepBlob(t *testing.T) {
	here, cache := newPlace(t), t.TempDir()
	for _, name := range []string{"XDG_CACHE_HOME", "LocalAppData", "HOME"} {
		t.Setenv(name, cache)
	}
	here.write("a.test", "content")
	here.do(os.Chmod(here.path("a.test"), 0o755))
	for range 2 {
		p, err := KeepBlob(t.Context(), here.path("a.test"), digestOf("content"))
		if err != nil || filepath.Base(p) != "a.test" || filepath.Base(filepath.Dir(p)) != digestOf("content") {
			t.Fatalf("%q, %v", p, err)
		}
		if got, err := os.ReadFile(p); string(got) != "content" {
			t.Errorf("%q, %v", got, err)
		}
	}
	gw := openBlobHost(t, cache)
	if all, err := ListBlobs(t.Context(), gw); err != nil || !slices.Equal(all, []string{digestOf("content")}) {
		t.Errorf("all: %q, %v", all, err)
	}
	if p, err := KeepBlob(t.Context(), here.path("a.test"), "../x"); err == nil {
		t.Errorf("a bad digest gives %q", p)
	}
	s, err := openBlobs([]string{t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.root.Close()
	here.do(s.copy(here.path("a.test"), "tmp/copied"))
	if got, err := s.root.ReadFile("tmp/copied"); string(got) != "content" {
		t.Errorf("copied %q, %v", got, err)
	}
}

// TestBlobDirs takes the next directory when one cannot be used, and says what is wrong with all
// when none can.
func TestBlobDirs(t *testing.T) {
	p := place{t, t.TempDir()}
	p.write("file", "in the way")
	s, err := openBlobs([]string{p.path("file/blobs"), p.path("good/blobs")})
	if err != nil || s.dir != p.path("good/blobs") {
		t.Fatalf("%v, %v", s, err)
	}
	s.root.Close()
	if _, err := openBlobs([]string{p.path("file/blobs"), p.path("file/more")}); err == nil ||
		!strings.Contains(err.Error(), p.path("file/blobs")) || !strings.Contains(err.Error(), p.path("file/more")) {
		t.Errorf("error: %v", err)
	}
}

// TestBlobDamaged has a blob of the right size and the wrong content, under two names. It is sent
// again when it is to be checked, or was not for a day.
func TestBlobDamaged(t *testing.T) {
	for _, tt := range []struct {
		name  string
		check bool
		age   time.Duration
		sent  bool
	}{{"asked", true, 0, true}, {"old", false, 2 * checkEvery, true}, {"neither", false, 0, false}} {
		t.Run(tt.name, func(t *testing.T) {
			here, cache := newPlace(t), t.TempDir()
			here.write("file", "content")
			here.write("other", "content")
			gw := openBlobHost(t, cache)
			sent := false
			put := func(name string, check bool) string {
				t.Helper()
				p, err := PutBlob(t.Context(), gw, here.path(name), PutOptions{Digest: digestOf("content"), Check: check, Sent: func(int) { sent = true }})
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
			p := put("file", false)
			put("other", false)
			when := time.Now().Add(-tt.age)
			here.do(os.WriteFile(p, []byte("tnetnoc"), 0o700))
			here.do(os.Chtimes(p, when, when))
			sent = false
			put("file", tt.check)
			if sent != tt.sent {
				t.Errorf("sent: %t", sent)
			}
			for _, name := range []string{"file", "other"} {
				if got, err := os.ReadFile(put(name, false)); tt.sent && string(got) != "content" {
					t.Errorf("%s: %q, %v", name, got, err)
				}
			}
		})
	}
}
