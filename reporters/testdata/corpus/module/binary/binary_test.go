package binary

import (
	"os"
	"testing"
)

func TestBinary(t *testing.T) {
	os.Stdout.Write([]byte("zero \x00, half a character \xc3, no UTF-8 \xff\xfe, delete \x7f\n"))
	os.Stdout.Write([]byte("::error::from a test\n##teamcity[testFailed name='x']\n]]>&<!--\n"))
	os.Stderr.WriteString("to standard error\r\n")
	t.Error("it is bad\x00\xff")
	os.Stdout.WriteString("and no newline")
}
