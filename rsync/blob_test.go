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

// TestBlob puts an executable, finds it, executes it, and cleans it away.
func TestBlob(t *testing.T) {
	here := newPlace(t)
	content := "#!/bin/sh\necho it runs\n"
	here.write("hello.test", content)
	gw := openBlobHost(t, t.TempDir())
	blob := Blob{digestOf(content), "hello.test", int64(len(content))}
	other := Blob{digestOf("other"), "other", 5}
	if paths, err := FindBlobs(t.Context(), gw, []Blob{blob, other}); err != nil || paths[0] != "" || paths[1] != "" {
		t.Errorf("before: %q, %v", paths, err)
	}
	for _, want := range []int{len(content), 0} {
		sent := 0
		p, err := PutBlob(t.Context(), gw, here.path("hello.test"), blob.Digest, func(n int) { sent += n })
		if sent != want {
			t.Errorf("%d bytes were sent, want %d", sent, want)
		}
		if err != nil || !filepath.IsAbs(p) || filepath.Base(p) != "hello.test" || filepath.Base(filepath.Dir(p)) != blob.Digest {
			t.Fatalf("%q, %v", p, err)
		}
		if os.PathSeparator == '/' {
			if out, err := exec.Command(p).CombinedOutput(); string(out) != "it runs\n" {
				t.Errorf("%q, %v", out, err)
			}
		}
		blob2 := blob
		blob2.Name = "another.name"
		if paths, err := FindBlobs(t.Context(), gw, []Blob{blob, other, blob2}); err != nil || paths[0] != p || paths[1] != "" || filepath.Base(paths[2]) != "another.name" {
			t.Errorf("after: %q, %v", paths, err)
		}
	}
	if all, err := ListBlobs(t.Context(), gw); err != nil || !slices.Equal(all, []string{blob.Digest}) {
		t.Errorf("all: %q, %v", all, err)
	}
	if done, err := CleanBlobs(t.Context(), gw, 1); err != nil || done.Blobs != 0 {
		t.Errorf("what was just used: %+v, %v", done, err)
	}
	if done, err := CleanBlobs(t.Context(), gw, 0); err != nil || done.Blobs != 1 || done.Left != 0 {
		t.Errorf("all: %+v, %v", done, err)
	}
	if all, err := ListBlobs(t.Context(), gw); err != nil || len(all) > 0 {
		t.Errorf("none: %q, %v", all, err)
	}
	if paths, err := FindBlobs(t.Context(), gw, []Blob{blob}); err != nil || paths[0] != "" {
		t.Errorf("at the end: %q, %v", paths, err)
	}
}

// TestBlobRefused has a wrong digest, a digest and names that would lead elsewhere.
func TestBlobRefused(t *testing.T) {
	here, cache := newPlace(t), t.TempDir()
	here.write("file", "content")
	gw := openBlobHost(t, cache)
	for _, digest := range []string{digestOf("other content"), "../../evil", strings.ToUpper(digestOf("content")), ""} {
		if p, err := PutBlob(t.Context(), gw, here.path("file"), digest, nil); err == nil {
			t.Errorf("%q: %q", digest, p)
		}
	}
	for _, name := range []string{"../evil", "/evil", "a/b", "", ".."} {
		if _, err := FindBlobs(t.Context(), gw, []Blob{{digestOf("x"), name, 1}}); err == nil {
			t.Errorf("name %q is found", name)
		}
	}
	left := place{t, cache}.lines()
	if strings.Contains(left, "evil") || strings.Contains(left, tempSuffix) {
		t.Errorf("left:\n%s", left)
	}
	if p, err := PutBlob(t.Context(), gw, here.path("file"), digestOf("content"), nil); err != nil {
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
			p, err := PutBlob(t.Context(), gw, here.path("file"), digestOf(content), nil)
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
	p, err := PutBlob(t.Context(), gw, here.path("file"), blob.Digest, nil)
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
	if paths, err := FindBlobs(t.Context(), gw, []Blob{{digestOf("content"), "a.test", 7}}); err != nil || paths[0] == "" {
		t.Errorf("found %q, %v", paths, err)
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

// TestBlobsPrune removes what was used least recently, and takes a file on its way for dead after
// an hour.
func TestBlobsPrune(t *testing.T) {
	dir := t.TempDir()
	s, err := openBlobs([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.root.Close()
	p := place{t, dir}
	now := time.Now()
	for i, name := range []string{"old", "older", "oldest", "new"} {
		used := now.Add(-time.Duration(2+i) * time.Hour)
		if name == "new" {
			used = now
		}
		p.write(name+"/file", strings.Repeat("x", 100))
		p.do(os.Chtimes(p.path(name), used, used))
	}
	p.write("tmp/dead.part", "x")
	p.do(os.Chtimes(p.path("tmp/dead.part"), now.Add(-5*time.Hour), now.Add(-5*time.Hour)))
	p.write("tmp/live.part", "x")
	done, err := s.clean(t.Context(), 250, now)
	if err != nil || done != (Cleaned{Blobs: 2, Bytes: 201, Left: 201}) {
		t.Errorf("%+v, %v", done, err)
	}
	for name, want := range map[string]bool{"old": true, "older": false, "oldest": false, "new": true, "tmp/dead.part": false, "tmp/live.part": true} {
		if p.exists(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
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
