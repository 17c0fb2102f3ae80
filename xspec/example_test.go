package xspec_test

import (
	"flag"
	"fmt"
	"log"

	"github.com/xdist-go/xdist/xspec"
)

// A program takes the gateways that it is to open as a flag, which may be given many times.
func ExampleSpecs() {
	var tx xspec.Specs
	flags := flag.NewFlagSet("program", flag.ContinueOnError) // or the flags of package flag
	flags.Var(&tx, "tx", "open gateways as `SPEC` says; may be repeated")
	if err := flags.Parse([]string{"-tx", "2*popen", "-tx", "ssh=-p 2222 me@host//id=a"}); err != nil {
		log.Fatal(err)
	}
	for _, spec := range tx {
		fmt.Println(spec)
	}
	// Output:
	// popen
	// popen
	// ssh=-p 2222 me@host//id=a
}

// A variable or a configuration has many of them in one text.
func ExampleSpecs_UnmarshalText() {
	var hosts xspec.Specs
	if err := hosts.UnmarshalText([]byte("2*popen me@host//id=a 'ssh=-p 2222 me@other'")); err != nil {
		log.Fatal(err)
	}
	for _, spec := range hosts {
		fmt.Println(spec)
	}
	err := hosts.UnmarshalText([]byte("popen//nice=low"))
	fmt.Println(err)
	// Output:
	// popen
	// popen
	// me@host//id=a
	// ssh=-p 2222 me@other
	// parse spec "popen//nice=low": field "nice=low": must be a whole number from -39 to 39
}
