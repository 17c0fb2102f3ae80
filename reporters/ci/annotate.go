package ci

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/reporters/failure"
)

// maxAnnotations is how many failures are annotated: services show fewer than that.
const maxAnnotations = 50

// note is what a service is told of a line of a source.
type note struct {
	warning bool   // else an error
	file    string // from the root, with slashes; "" is not known
	line    int
	title   string
	message string
}

// annotation is the note as a line of the service's log, "" where the service has none.
func (s Service) annotation(n note) string {
	level := "error"
	if n.warning {
		level = "warning"
	}
	switch s {
	case GitHub:
		var properties []string
		if n.file != "" {
			properties = append(properties, "file="+gitHubProperty(n.file), fmt.Sprintf("line=%d", n.line))
		}
		properties = append(properties, "title="+gitHubProperty(n.title))
		return fmt.Sprintf("::%s %s::%s\n", level, strings.Join(properties, ","), gitHubData(n.message))
	case Azure:
		properties := "type=" + level + ";"
		if n.file != "" {
			properties += fmt.Sprintf("sourcepath=%s;linenumber=%d;", azureProperty(n.file), n.line)
		}
		return fmt.Sprintf("##vso[task.logissue %s]%s\n", properties, azureData(n.title+": "+n.message))
	}
	return ""
}

// gitHubData escapes the message of a workflow command, and gitHubProperty a property.
func gitHubData(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(text)
}

func gitHubProperty(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(text)
}

// azureData escapes the message of a logging command, and azureProperty a property.
func azureData(text string) string {
	return strings.NewReplacer("%", "%AZP25", "\r", "%0D", "\n", "%0A").Replace(text)
}

func azureProperty(text string) string {
	return strings.NewReplacer("%", "%AZP25", "\r", "%0D", "\n", "%0A", ";", "%3B", "]", "%5D").Replace(text)
}

// noteOf is the note on a failure. root is what its file is relative to.
func noteOf(f failure.Finding, root string) note {
	n := note{title: f.Package, message: f.Place.Message, line: f.Place.Line}
	if f.Test != "" {
		n.title = gotest.ID(f.Package, f.Test)
	}
	if n.message == "" {
		n.message = "failed"
	}
	if f.Unbuilt != "" {
		n.message = f.Unbuilt + ": " + n.message
	}
	if rel, err := filepath.Rel(root, f.Path); err == nil && f.Path != "" && filepath.IsLocal(rel) {
		n.file = filepath.ToSlash(rel)
	}
	return n
}
