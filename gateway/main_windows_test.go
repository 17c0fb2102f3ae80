package gateway_test

import "github.com/xdist-go/xdist/gateway"

func systemHandlers() gateway.Handlers { return nil }

func controllerMain() { panic("BUG: no test on Windows starts a controller") }
