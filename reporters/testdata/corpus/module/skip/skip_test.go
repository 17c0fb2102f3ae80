package skip

import "testing"

func TestSkipped(t *testing.T) { t.Skip("there is no database") }

func TestPartly(t *testing.T) {
	t.Run("done", func(t *testing.T) {})
	t.Run("not", func(t *testing.T) { t.SkipNow() })
}
