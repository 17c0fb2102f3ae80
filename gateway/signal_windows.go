package gateway

import "os"

// signalNamed returns the signal of a name, or nil: a process can be killed, and nothing else.
func signalNamed(name string) os.Signal {
	if name == "SIGKILL" {
		return os.Kill
	}
	return nil
}

// nameOfSignal is the name of a signal, the same on all systems, or "".
func nameOfSignal(sig os.Signal) string {
	switch sig {
	case os.Interrupt:
		return "SIGINT"
	case os.Kill:
		return "SIGKILL"
	}
	return ""
}
