package unit

import (
	"slices"
	"strconv"
	"strings"
)

// A testArg is one -test.* flag in an argument list.
type testArg struct {
	name  string // without "test."
	value string
	at    int // index of its first argument
	n     int // arguments it takes: 2 for "-test.run X"
}

// takesValue says whether a -test.* flag that has no = takes the next argument as its value.
func takesValue(name string) bool {
	switch name {
	case "artifacts", "benchmem", "failfast", "fullpath", "fuzzworker", "paniconexit0", "short", "v":
		return false
	}
	return true
}

// testArgs finds the -test.* flags that the binary will see. Like cmd/go it takes a plain argument
// after a flag of the user's that has no = for that flag's value; any other plain argument ends the
// flags, as does "--".
func testArgs(args []string) []testArg {
	var found []testArg
	mayBeValue := false
	for i := 0; i < len(args); {
		arg := args[i]
		if arg == "--" {
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			if !mayBeValue {
				break
			}
			mayBeValue = false
			i++
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		name, ok := strings.CutPrefix(name, "test.")
		mayBeValue = !ok && !hasValue
		n := 1
		if ok && !hasValue && takesValue(name) && i+1 < len(args) {
			value, n = args[i+1], 2
		}
		if ok {
			found = append(found, testArg{name: name, value: value, at: i, n: n})
		}
		i += n
	}
	return found
}

// lastValue returns the value of the last flag called name, which is the one that counts.
func lastValue(flags []testArg, name string) string {
	for _, f := range slices.Backward(flags) {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

// hasFlag reports whether there is a flag called name.
func hasFlag(flags []testArg, name string) bool {
	return slices.ContainsFunc(flags, func(f testArg) bool { return f.name == name })
}

// setFlag returns args with -test.name=value as the only flag of that name, in the place of the
// first one or, if there is none, at the beginning.
func setFlag(args []string, name, value string) []string {
	args = slices.Clone(args)
	flags := testArgs(args)
	arg := "-test." + name + "=" + value
	if !hasFlag(flags, name) {
		return slices.Insert(args, 0, arg)
	}
	first := -1
	for _, f := range slices.Backward(flags) {
		if f.name == name {
			args = slices.Delete(args, f.at, f.at+f.n)
			first = f.at
		}
	}
	return slices.Insert(args, first, arg)
}

// rounds returns how often the binary runs each test and each fuzz target: -test.count times the
// length of -test.cpu.
func rounds(flags []testArg) int {
	count := 1
	if n, err := strconv.Atoi(lastValue(flags, "count")); err == nil && n > 0 {
		count = n
	}
	cpus := 0
	for cpu := range strings.SplitSeq(lastValue(flags, "cpu"), ",") {
		if strings.TrimSpace(cpu) != "" {
			cpus++
		}
	}
	return count * max(cpus, 1)
}
