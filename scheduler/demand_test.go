package scheduler

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/policy"
)

func TestDemands(t *testing.T) {
	db := gotest.Directives{Group: "g", Exclusive: true, Resources: []gotest.Resource{{Name: "db", Units: 1, Limit: 2}}, Requires: []string{"big"}, Weight: 2, Pos: "a"}
	same := db
	same.Pos, same.Retries = "b", 3
	items, strands := demands([]gotest.Item{
		{Name: "TestA"}, {Name: "TestB", Directives: &db}, {Name: "TestC", Directives: &gotest.Directives{Retries: 1}}, {Name: "TestD", Directives: &same},
	})
	wantItems := []policy.Item{{Name: "TestA"}, {Name: "TestB", Strand: 1}, {Name: "TestC"}, {Name: "TestD", Strand: 1}}
	want := []policy.Demand{{}, {Group: "g", Exclusive: true, Resources: []policy.Resource{{Name: "db", Units: 1, Limit: 2}}, Requires: []string{"big"}, Weight: 2}}
	if diff := cmp.Diff(wantItems, items); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, strands); diff != "" {
		t.Error(diff)
	}
}
