// Package vendored imports a package that exists only in its vendor directory.
package vendored

import (
	"testing"

	"example.com/gamma"
)

func TestGamma(t *testing.T) { t.Log(gamma.Name()) }

func TestFails(t *testing.T) { t.Error("fails") }
