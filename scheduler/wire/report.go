package wire

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Bounds of a report, which a worker that is none may have made. A worker sends 1,024 events at a
// time, with 64 KiB of output, or ProfilePart bytes of a profile; a result names all tests that its
// process ran. An element takes up to 200 bytes of memory, so the bounds are what keeps an item of
// 16 MiB from taking gigabytes.
const (
	maxReport   = 12 << 20 // bytes: 1,024 events with names of 4 KiB, for themselves and their package
	maxElements = 4 << 10  // of an array
	maxPairs    = 1 << 18  // of a map
	// maxTests is how many elements an array of a BuildReport may have: the tests of one package.
	maxTests = 1 << 17
)

var (
	reportMode = newReportMode(8, maxElements)
	buildMode  = newReportMode(16, maxTests)
)

func newReportMode(nesting, elements int) cbor.DecMode {
	m, err := cbor.DecOptions{
		MaxNestedLevels: nesting, MaxArrayElements: elements, MaxMapPairs: maxPairs, IndefLength: cbor.IndefLengthForbidden,
		UTF8: cbor.UTF8DecodeInvalid, // output of programs is any bytes
	}.DecMode()
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return m
}

// ReadReport reads a report. It shares no memory with the item. What is beyond the bounds is an
// error before memory is taken for it.
func ReadReport(item []byte) (r Report, err error) {
	if len(item) > maxReport {
		return r, fmt.Errorf("read report: it has %d bytes, and may have %d", len(item), maxReport)
	}
	if err := reportMode.Unmarshal(item, &r); err != nil {
		return Report{}, fmt.Errorf("read report: %w", err)
	}
	return r, nil
}

// ReadBuildReport reads a BuildReport as ReadReport does. Its bounds are those of an item, and of a
// package with more tests than any has.
func ReadBuildReport(item []byte) (r BuildReport, err error) {
	if err := buildMode.Unmarshal(item, &r); err != nil {
		return BuildReport{}, fmt.Errorf("read the report of a build: %w", err)
	}
	return r, nil
}
