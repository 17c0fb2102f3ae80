package cmdline

import "strings"

// nearAtMost is the longest name in bytes that is compared letter by letter.
const nearAtMost = 200

// IsNear reports whether one of two names comes from the other by a slip of the hand: letters that
// differ, are missing, too many or exchanged, or their size.
func IsNear(a, b string) bool {
	if len(a) > nearAtMost || len(b) > nearAtMost {
		return strings.EqualFold(a, b)
	}
	return distance(a, b) <= min(2, max(1, len(a)/3))
}

// Nearest is the name that somebody may have meant by a word, the first of those that are equally
// near, "" when none is near.
func Nearest(word string, names []string) string {
	if len(word) > nearAtMost {
		return ""
	}
	best, found := 2+len(word)/4, ""
	for _, name := range names {
		if d := distance(word, name); d < best && d < len(name) {
			best, found = d, name
		}
	}
	return found
}

// distance is the optimal string alignment of two names: how many letters differ, are missing, too
// many or exchanged. Size does not count.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	cost := make([][]int, len(a)+1) // of a[:i] and b[:j]
	for i := range cost {
		cost[i] = make([]int, len(b)+1)
		cost[i][0] = i
	}
	for j := range cost[0] {
		cost[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := cost[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			cost[i][j] = min(change, cost[i-1][j]+1, cost[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cost[i][j] = min(cost[i][j], cost[i-2][j-2]+1)
			}
		}
	}
	return cost[len(a)][len(b)]
}
