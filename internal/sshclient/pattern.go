package sshclient

import "strings"

// matchPattern reports whether all of s is what an ssh pattern stands for: * is any text, ? any
// character.
func matchPattern(s, pattern string) bool {
	star, mark := -1, 0 // after the last *, and how far s was read there
	i, j := 0, 0
	for i < len(s) {
		switch {
		case j < len(pattern) && pattern[j] == '*':
			star, mark = j+1, i
			j++
		case j < len(pattern) && (pattern[j] == '?' || pattern[j] == s[i]):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = mark, star
		default:
			return false
		}
	}
	return strings.Trim(pattern[j:], "*") == ""
}

// matchPatterns reports whether one of the patterns fits, and none of those with an exclamation
// mark before it does.
func matchPatterns(s string, patterns []string) bool {
	found := false
	for _, p := range patterns {
		p, negated := strings.CutPrefix(p, "!")
		if p != "" && matchPattern(s, p) {
			if negated {
				return false
			}
			found = true
		}
	}
	return found
}
