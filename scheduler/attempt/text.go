package attempt

import (
	"hash/fnv"
	"regexp"
	"strings"
)

// changing matches what differs between two tellings of one failure: numbers, addresses, durations,
// names made of random letters and digits.
var changing = regexp.MustCompile(`0x[0-9a-fA-F]+|[0-9a-fA-F]*[0-9][0-9a-fA-F]*([.:][0-9]+)*(ns|µs|ms|s|m|h)?`)

// Fingerprint returns a number for the text of a failure that does not depend on the numbers,
// addresses and times in it, nor on the order and the number of its lines: parallel subtests fail
// in any order, and what waits may say so more or less often. Lines that go test puts between a
// test's own do not count. It is 0 for no text, and for no other.
func Fingerprint(text string) uint64 {
	lines := make(map[uint64]bool)
	var sum uint64
	for line := range strings.Lines(changing.ReplaceAllString(text, "#")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") {
			continue
		}
		h := fnv.New64a()
		h.Write([]byte(line)) // never fails
		if of := h.Sum64(); !lines[of] {
			lines[of] = true
			sum += of
		}
	}
	if len(lines) == 0 {
		return 0
	}
	return sum | 1
}

// SkipPrint is a Fingerprint of what a test said that was skipped, 0 when it gave no reason.
func SkipPrint(text string) uint64 {
	var said strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "--- SKIP: ") {
			said.WriteString(line)
		}
	}
	return Fingerprint(said.String())
}

// contention is how errors say that somebody else has what is wanted, or that there was too little
// time or room: words of operating systems, of Go's packages and of tests that wait.
var contention = regexp.MustCompile(`(?i)\b(in use|busy|refused|reset|deadline|time(d)? ?out|timeout|no space|too many open|locked|lock held|already exists|unavailable|try again|took too long|not ready|broken pipe)`)

// Contends reports whether the text of a failure speaks of something that another process may have
// had, so that a second failure with the same text proves nothing beside the same others.
func Contends(text string) bool { return contention.MatchString(text) }
