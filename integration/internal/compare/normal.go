package compare

import (
	"regexp"
	"strings"
)

// Normal replaces what two runs of one test never share. The zero value knows no directories.
type Normal struct {
	// Roots are directories of the tested module, here and on other hosts; each becomes <module>.
	Roots []string
	// Temp are directories below which names are chosen at random; each path below one becomes
	// <tmp>.
	Temp []string
}

type replacement struct {
	re *regexp.Regexp
	by string
}

// replacements are applied in this order to every output.
var replacements = []replacement{
	{regexp.MustCompile(`\((?:\d+h)?(?:\d+m)?\d+(?:\.\d+)?s\)`), "(T)"},                              // --- PASS: X (0.00s), and the list of running tests
	{regexp.MustCompile(`(?m)^(ok  |FAIL)\t(\S+)\t\d+\.\d+s`), "$1\t$2\tT"},                          // the package's last line
	{regexp.MustCompile(`(?m)^(Benchmark\S*)(\s+)\d+\s+\d.*$`), "$1 figures"},                        // a benchmark's result
	{regexp.MustCompile(`(?m)^-test.shuffle \d+$`), "-test.shuffle N"},                               // a seed
	{regexp.MustCompile(`\b0x[0-9a-f]+\b\??`), "0xN"},                                                // addresses
	{regexp.MustCompile(`\bgoroutine \d+\b`), "goroutine N"},                                         // numbers outside of a dump
	{regexp.MustCompile(`\b(pid|PID)([ =:]+)\d+\b`), "${1}${2}N"},                                    //
	{regexp.MustCompile(`(?s)={18}\nWARNING: DATA RACE\n.*?\n={18}\n`), "<report of a data race>\n"}, // its stacks have no stable order
}

// Text is s without what varies.
func (n Normal) Text(s string) string {
	s = collapseDumps(s)
	for _, r := range replacements {
		s = r.re.ReplaceAllString(s, r.by)
	}
	for _, dir := range n.Roots {
		s = strings.ReplaceAll(s, dir, "<module>")
	}
	for _, dir := range n.Temp {
		s = replacePaths(s, dir)
	}
	return s
}

// replacePaths replaces each path that begins with dir and a separator.
func replacePaths(s, dir string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, dir)
		if i < 0 || dir == "" {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		s = s[i+len(dir):]
		end := strings.IndexAny(s, " \t\n\r\"'`,;:)]}>")
		if end < 0 {
			end = len(s)
		}
		if end > 0 && s[0] != '/' && s[0] != '\\' {
			b.WriteString(dir)
			continue
		}
		b.WriteString("<tmp>")
		s = s[end:]
	}
}

const dump = "<goroutine dump>\n"

var dumpHeader = regexp.MustCompile(`^\s*goroutine \d+ .*\[.*\]:$`)

// collapseDumps replaces the stacks that the runtime prints, which hold numbers, addresses and, of
// a process that runs more tests than another, more goroutines.
func collapseDumps(s string) string {
	if !strings.Contains(s, "goroutine ") {
		return s
	}
	var b strings.Builder
	inside := false
	for line := range strings.Lines(s) {
		text := strings.TrimRight(line, "\r\n")
		switch {
		case dumpHeader.MatchString(text):
			if !inside {
				b.WriteString(dump)
			}
			inside = true
		case inside && partOfDump(text):
		default:
			inside = false
			b.WriteString(line)
		}
	}
	return b.String()
}

func partOfDump(line string) bool {
	return line == "" || strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "created by ") || strings.HasPrefix(line, "...") ||
		strings.HasSuffix(line, ")") && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "***")
}
