package store

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestRecords(t *testing.T) {
	s := open(t, t.TempDir())
	if _, ok := s.GetRecord("k"); ok {
		t.Error("found a record that was not put")
	}
	for _, key := range []string{"k", "", "../../escape", "a/b\x00c", strings.Repeat("long", 1000)} {
		for _, value := range []string{"first", "", "second"} {
			if err := s.PutRecord(key, []byte(value)); err != nil {
				t.Fatal(err)
			}
			if got, ok := s.GetRecord(key); !ok || string(got) != value {
				t.Errorf("%q: %q, %v, want %q", clip(key), got, ok, value)
			}
		}
	}
	if files := tree(t, s.Dir()); len(files) != 5 {
		t.Errorf("files: %q, want 5", files)
	}
	if err := s.PutRecord("k", make([]byte, MaxRecord)); err == nil {
		t.Error("a record of more than MaxRecord is no error")
	}
}

// TestDamagedRecord shows that a record with any bit changed, or cut anywhere, is a miss.
func TestDamagedRecord(t *testing.T) {
	text := encodeRecord("key", []byte("value"))
	if _, ok := decodeRecord("key", text); !ok {
		t.Fatal("the whole record is a miss")
	}
	if _, ok := decodeRecord("yek", text); ok {
		t.Error("the record of another key is a hit")
	}
	for i := range text {
		if _, ok := decodeRecord("key", text[:i]); ok {
			t.Errorf("cut at %d it is a hit", i)
		}
		changed := bytes.Clone(text)
		changed[i] ^= 1
		if _, ok := decodeRecord("key", changed); ok {
			t.Errorf("changed at %d it is a hit", i)
		}
	}
	s := open(t, t.TempDir())
	if err := s.PutRecord("key", []byte("value")); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(s.recName("key"), 20); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.GetRecord("key"); ok {
		t.Error("hit")
	}
	if files := tree(t, s.Dir()); len(files) > 0 {
		t.Errorf("left: %q", files)
	}
}
