package ansi

import (
	"fmt"
	"testing"
)

func TestColours(t *testing.T) {
	fmt.Println("\x1b[31mred\x1b[0m and \x1b[1;38;2;1;2;3mbold\x1b[m")
	fmt.Print("\x1b[2J\x1b[H\x1b]0;a title\x07\x1b]8;;https://example.com\x1b\\a link\x1b]8;;\x1b\\\n")
	fmt.Print("50%\r100%\n\x1b[?25l\x1b(B\u009b31m\n")
	t.Error("\x1b[31mit is red\x1b[0m")
}

func TestQuiet(t *testing.T) { fmt.Println("\x1b[32mgreen\x1b[0m") }
