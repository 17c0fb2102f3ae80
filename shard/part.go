package shard

import (
	"fmt"
	"strconv"
	"strings"
)

// Part says which part of how many. The zero Part is everything.
type Part struct{ K, N int } // 1 ≤ K ≤ N

// maxParts bounds N: more jobs than this are a slip of the hand.
const maxParts = 10_000

// Parse reads "k/n".
func Parse(text string) (Part, error) {
	k, n, ok := strings.Cut(text, "/")
	var p Part
	var kErr, nErr error
	p.K, kErr = strconv.Atoi(k)
	p.N, nErr = strconv.Atoi(n)
	if !ok || kErr != nil || nErr != nil || p.K < 1 || p.N < p.K || p.N > maxParts {
		return Part{}, fmt.Errorf("shard %q: want k/n with 1 ≤ k ≤ n ≤ %d, such as 2/5", text, maxParts)
	}
	return p, nil
}

func (p Part) String() string { return fmt.Sprintf("%d/%d", p.K, p.N) }
