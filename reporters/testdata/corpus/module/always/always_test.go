package always

import (
	"os"
	"testing"
)

func TestAlways(t *testing.T) { t.Fatalf("attempt %s failed", os.Getenv("XDIST_ATTEMPT")) }

func TestAlike(t *testing.T) { t.Fatal("the same each time") }
