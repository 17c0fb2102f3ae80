package money

import "testing"

// TestString fails: a debt has its sign twice.
func TestString(t *testing.T) {
	for _, tt := range []struct {
		name   string
		amount Cents
		want   string
	}{
		{"price", 1999, "19.99"},
		{"change", 5, "0.05"},
		{"debt", -250, "-2.50"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Logf("an amount of %d cents", int64(tt.amount))
			if got := tt.amount.String(); got != tt.want {
				t.Errorf("%d cents are %q, want %q", int64(tt.amount), got, tt.want)
			}
		})
	}
}

func TestShare(t *testing.T) {
	var sum Cents
	for _, part := range Cents(1000).Share(7) {
		sum += part
	}
	if sum != 1000 {
		t.Errorf("the parts make %v, want %v", sum, Cents(1000))
	}
}
