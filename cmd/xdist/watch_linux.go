package main

import "os"

// infoSignals is empty: there is no SIGINFO.
var infoSignals []os.Signal
