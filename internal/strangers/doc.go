// Package strangers puts things where another user of a host can have put them, for tests.
package strangers
