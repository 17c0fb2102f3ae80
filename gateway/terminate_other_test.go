//go:build unix && !linux

package gateway_test

const sessionsAreFollowed = false
