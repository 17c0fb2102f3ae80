// Package alpha is used by beta through the workspace.
package alpha

// Name is alpha.
func Name() string { return "alpha" }
