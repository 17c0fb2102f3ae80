package reporters

import (
	"strings"

	"github.com/xdist-go/xdist/gotest/test2json"
)

// compilerText joins the build-output events of each build to whole lines. The zero value is ready
// for use.
type compilerText struct {
	partial map[string]string // the start of a line, by ImportPath
}

// add returns the lines that are whole after e, each with its newline and none longer than
// testjson's scan takes.
func (c *compilerText) add(e test2json.Event) string {
	var text string
	switch e.Action {
	case test2json.ActionBuildOutput:
		text = c.partial[e.ImportPath] + e.Output
		end := strings.LastIndexByte(text, '\n') + 1
		if c.partial == nil {
			c.partial = map[string]string{}
		}
		c.partial[e.ImportPath] = text[end:]
		text = text[:end]
	case test2json.ActionBuildFail:
		if text = c.partial[e.ImportPath]; text != "" {
			text += "\n"
		}
		delete(c.partial, e.ImportPath)
	}
	return breakLines(text, scanLine-1)
}

// breakLines puts a newline into each line that has more than limit bytes.
func breakLines(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		for len(line) > limit {
			b.WriteString(line[:limit])
			b.WriteByte('\n')
			line = line[limit:]
		}
		b.WriteString(line)
	}
	return b.String()
}
