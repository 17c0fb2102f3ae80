package main

import (
	"strings"
	"testing"
	"time"
)

func TestWeights(t *testing.T) {
	stream := `go: downloading what goes to standard error
{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA/sub","Elapsed":2.5}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":3}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"fail","Package":"p","Test":"TestB","Elapsed":1}
{"Action":"fail","Package":"p","Elapsed":9}
{"Action":"start","Package":"q"}
{"Action":"run","Package":"q","Test":"TestA"}
{"Action":"skip","Package":"q","Test":"TestA","Elapsed":0.5}
{"Action":"pass","Package":"q","Elapsed":0.6}
`
	got, err := scanWeights(strings.NewReader(stream))
	if want := (weights{longest: 3 * time.Second, total: 4500 * time.Millisecond}); got != want || err != nil {
		t.Errorf("weights = %+v, %v; want %+v", got, err, want)
	}
	if _, err := scanWeights(strings.NewReader(`{"Action":"start","Package":"p"}`)); err == nil {
		t.Error("a stream without tests has weights")
	}
}

func TestIdeal(t *testing.T) {
	for _, tt := range []struct {
		w    weights
		want time.Duration
	}{
		{weights{longest: 10 * time.Second, total: 32 * time.Second}, 10 * time.Second},
		{weights{longest: 10 * time.Second, total: 320 * time.Second}, 20 * time.Second},
	} {
		if got := tt.w.ideal(16); got != tt.want {
			t.Errorf("ideal of %+v = %v, want %v", tt.w, got, tt.want)
		}
	}
}
