package hostbuild

import (
	"reflect"
	"testing"

	"github.com/xdist-go/xdist/scheduler/wire"
)

// All that a report can hold has a weight.
func TestWeightKnowsReports(t *testing.T) {
	seen := make(map[reflect.Type]bool)
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		if seen[typ] {
			return
		}
		seen[typ] = true
		switch typ.Kind() {
		case reflect.Map, reflect.Interface, reflect.Array, reflect.Chan, reflect.Func, reflect.UnsafePointer:
			t.Errorf("what a %v holds is not counted", typ)
		case reflect.Pointer, reflect.Slice:
			walk(typ.Elem())
		case reflect.Struct:
			for i := range typ.NumField() {
				walk(typ.Field(i).Type)
			}
		}
	}
	walk(reflect.TypeFor[wire.BuildReport]())
	if len(seen) < 15 {
		t.Errorf("only %d types were looked at", len(seen))
	}
}
