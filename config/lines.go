package config

import (
	"bytes"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// lines finds the lines of keys, which the decoder tells of its own errors only.
type lines map[place]int

// place is a key of a table; of an array of tables that of one of its tables. An empty key is the
// table itself.
type place struct {
	table string
	index int
	key   string
}

// key returns the line of a key, or that of its table when it has no line.
func (l lines) key(table string, index int, key string) int {
	if n, ok := l[place{table, index, key}]; ok {
		return n
	}
	return l[place{table, index, ""}]
}

// linesOf is for text that has been decoded: what cannot be parsed ends the search.
func linesOf(text []byte) lines {
	l := make(lines)
	count := make(map[string]int)
	var at place
	var p unstable.Parser
	p.Reset(text)
	for p.NextExpression() {
		e := p.Expression()
		keys := e.Key()
		var names []string
		var line int
		for keys.Next() {
			n := keys.Node()
			if len(names) == 0 {
				line = 1 + bytes.Count(text[:n.Raw.Offset], []byte("\n"))
			}
			names = append(names, string(n.Data))
		}
		if len(names) == 0 {
			continue
		}
		switch e.Kind {
		case unstable.Table:
			at = place{strings.Join(names, "."), 0, ""}
			l[at] = line
		case unstable.ArrayTable:
			at = place{names[0], count[names[0]], ""}
			count[names[0]]++
			l[at] = line
		case unstable.KeyValue:
			l[place{at.table, at.index, names[0]}] = line
		}
	}
	return l
}
