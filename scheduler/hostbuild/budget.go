package hostbuild

import (
	"fmt"
	"reflect"

	"github.com/xdist-go/xdist/scheduler/wire"
)

// A host that builds can make the controller keep so much, in bytes.
const (
	// mostKept is of the collection, of what became of packages, and of the profile. A collection
	// of 3,000 packages with 70,000 tests takes some 20 MB, and its profile 25 MB.
	mostKept = 256 << 20

	// mostSaid is of what the go command prints. Of a package that does not compile it is a few KB.
	mostSaid = 64 << 20
)

// budget is what a host has taken of it. The zero value is that of a host that has said nothing.
type budget struct{ kept, said int }

// take counts a report. Steps are shown and not kept.
func (b *budget) take(r wire.BuildReport) error {
	const header = 256 // what the controller has for each package and test beside its name
	r.Step = nil
	size := weight(reflect.ValueOf(r)) + header*len(r.Listed)
	for _, p := range r.Listed {
		size += header * len(p.Items)
	}
	if r.Ready != nil {
		size += header * (1 + len(r.Ready.Tests))
	}
	if r.Reported != nil {
		size += header
	}
	if r.Output == nil && r.Stderr == "" && r.Warning == "" {
		b.kept += size
	} else {
		b.said += size
	}
	switch {
	case b.kept > mostKept:
		return fmt.Errorf("it has told of more packages and tests, or of a larger profile, than the %d MiB that are kept of them", mostKept>>20)
	case b.said > mostSaid:
		return fmt.Errorf("what it prints is more than the %d MiB that are kept of it", mostSaid>>20)
	}
	return nil
}

// weight is how much memory a value of the wire holds, in bytes: its own, and what it points to.
func weight(v reflect.Value) int { return int(v.Type().Size()) + held(v) }

// held is how much a value points to.
func held(v reflect.Value) (bytes int) {
	switch v.Kind() {
	case reflect.String:
		return v.Len()
	case reflect.Pointer:
		if !v.IsNil() {
			return weight(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			bytes += held(v.Field(i))
		}
	case reflect.Slice:
		bytes = v.Len() * int(v.Type().Elem().Size())
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				bytes += held(v.Index(i))
			}
		}
	}
	return bytes
}
