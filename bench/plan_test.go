package main

import (
	"strings"
	"testing"
)

func TestMakespans(t *testing.T) {
	spans, err := scanMakespans(strings.NewReader(`go: what goes to standard error
{"Action":"run","Test":"TestLearnedSuites"}
{"Action":"attr","Test":"TestLearnedSuites","Key":"makespan","Value":"raft 16 known 1.0100 1.03"}
{"Action":"attr","Test":"TestLearnedSuites","Key":"other","Value":"text"}
{"Action":"attr","Test":"TestLearnedSuites","Key":"makespan","Value":"raft 16 worksteal 2.5000 0.00"}
{"Action":"attr","Test":"TestLearnedSuites","Key":"makespan","Value":"raft 4 known 1.0400 1.03"}
`))
	if err != nil {
		t.Fatal(err)
	}
	var tab table
	fillPlan(&tab, spans)
	var b strings.Builder
	for _, row := range append([][]string{tab.head}, tab.rows...) {
		b.WriteString(strings.Join(row, "|") + "\n")
	}
	want := `suite|nodes|known|worksteal
raft|4|1.040|–|MISSED known
raft|16|1.010|2.500|ok
limit||≤ 1.03|
`
	if b.String() != want || tab.missed != 1 {
		t.Errorf("%d limits missed and the table\n%s\nwant 1 and\n%s", tab.missed, b.String(), want)
	}
	if _, err := scanMakespans(strings.NewReader(`{"Action":"attr","Key":"makespan","Value":"raft many"}`)); err == nil {
		t.Error("an attribute without figures is a makespan")
	}
}
