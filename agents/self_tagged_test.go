//go:build selftag

package agents

func init() { tagged = true }
