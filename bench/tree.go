package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// filesPerDir is how many files a directory of a generated tree has.
const filesPerDir = 25

// growTree makes a directory with so many files in directories three deep: most have a few KB, one
// in fifty some hundred. scale multiplies the sizes. Contents compress as source code does. The
// same arguments give the same tree.
func growTree(root string, files int, scale float64) error {
	r := rand.New(rand.NewPCG(uint64(files), 1))
	stock := textStock(r, 4<<20)
	for i := range files {
		d := i / filesPerDir
		dir := filepath.Join(root, fmt.Sprintf("a%02d", d%7), fmt.Sprintf("b%02d", d/7%11), fmt.Sprintf("c%03d", d))
		if i%filesPerDir == 0 {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("generate a tree: %w", err)
			}
		}
		size := int(float64(fileSize(r)) * scale)
		start := r.IntN(len(stock) - size)
		content := append(fmt.Appendf(nil, "// file %d\n", i), stock[start:start+size]...)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%05d.go", i)), content, 0o644); err != nil {
			return fmt.Errorf("generate a tree: %w", err)
		}
	}
	return nil
}

// fileSize is in bytes.
func fileSize(r *rand.Rand) int {
	switch n := r.IntN(50); {
	case n == 0:
		return 64<<10 + r.IntN(448<<10)
	case n < 10:
		return 8<<10 + r.IntN(56<<10)
	default:
		return 200 + r.IntN(8<<10)
	}
}

// textStock is text of made-up words, in phrases that come again.
func textStock(r *rand.Rand, size int) []byte {
	words := make([]string, 3000)
	for i := range words {
		w := make([]byte, 2+r.IntN(9))
		for j := range w {
			w[j] = 'a' + byte(r.IntN(26))
		}
		words[i] = string(w)
	}
	var b bytes.Buffer
	for b.Len() < size {
		if b.Len() > 1000 && r.IntN(3) == 0 { // as source code has them
			start := max(0, b.Len()-20_000) + r.IntN(min(b.Len(), 20_000)-100)
			b.Write(b.Bytes()[start : start+20+r.IntN(60)])
		}
		b.WriteString(words[int(r.Float64()*r.Float64()*float64(len(words)))])
		b.WriteByte(" \t\n.(,"[r.IntN(6)])
	}
	return b.Bytes()[:size]
}
