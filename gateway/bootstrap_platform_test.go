package gateway

import (
	"bufio"
	"strings"
	"testing"
)

func TestParseUname(t *testing.T) {
	for system, want := range map[string]string{
		"Linux x86_64": "linux/amd64", "Linux aarch64": "linux/arm64", "Linux armv7l": "linux/arm", "Linux s390x": "linux/s390x", "Linux i686": "linux/386",
		"Darwin arm64": "darwin/arm64", "FreeBSD amd64": "freebsd/amd64", "MINGW64_NT-10.0-19045 x86_64": "windows/amd64",
	} {
		goos, goarch, err := parseUname(system)
		if got := goos + "/" + goarch; err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", system, got, err, want)
		}
	}
	for _, system := range []string{"", "Linux", "Linux vax", "Plan9 x86_64"} {
		if goos, goarch, err := parseUname(system); err == nil {
			t.Errorf("%q: got %s/%s", system, goos, goarch)
		}
	}
}

func FuzzReadMarked(f *testing.F) {
	for _, text := range []string{"xdist-1 want Linux x86_64\n", "hello xdist-1 go 12 /x\r\n", "xdist-1 \n", "xdist-1", strings.Repeat("x", 9000)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := bufio.NewReaderSize(strings.NewReader(text), connBuffer)
		for {
			word, rest, err := readMarked(r, "xdist-1")
			if err != nil {
				break
			}
			if strings.ContainsAny(word+rest, "\n") || !strings.Contains(text, word) {
				t.Errorf("%q: %q %q", text, word, rest)
			}
		}
		parseUname(text) // must not panic
		awaitOne(bufio.NewReader(strings.NewReader(text)), announcement)
	})
}
