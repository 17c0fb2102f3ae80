package main

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/kardianos/service"

	"github.com/xdist-go/xdist/gateway/keyed"
)

// serviceName is what the service manager knows the server as.
const serviceName = "xdist"

// serviceConfig describes the server to the service manager.
func serviceConfig(o serveOptions, user string) (*service.Config, error) {
	arguments, err := o.arguments()
	if err != nil {
		return nil, err
	}
	return withUnit(&service.Config{
		Name: serviceName, DisplayName: "xdist serve",
		Description: "Runs agents of xdist for clients that have its key", Arguments: arguments, UserName: user,
	})
}

func installService(out io.Writer, o serveOptions, user string) error {
	if o.keyName != "" { // a server that cannot start is better not installed
		if _, err := keyed.Read(o.keyName); err != nil {
			return classify(err)
		}
	}
	config, err := serviceConfig(o, user)
	if err != nil {
		return classify(err)
	}
	s, err := service.New(&serviceProgram{}, config)
	if err != nil {
		return classify(fmt.Errorf("install service: %w", err))
	}
	if err := s.Install(); err != nil {
		return classify(fmt.Errorf("install service: %w", err))
	}
	if err := s.Start(); err != nil {
		return classify(fmt.Errorf("start service %s, which is installed now: %w", serviceName, err))
	}
	_, err = fmt.Fprintf(out, "xdist: service %s is installed and was started (%s)\n", serviceName, s.Platform())
	return err
}

func uninstallService(out io.Writer) error {
	s, err := service.New(&serviceProgram{}, &service.Config{Name: serviceName})
	if err != nil {
		return classify(fmt.Errorf("uninstall service: %w", err))
	}
	stopErr := s.Stop() // one that does not run can be removed all the same
	if err := s.Uninstall(); err != nil {
		if stopErr != nil {
			err = fmt.Errorf("%w (and stop it: %w)", err, stopErr)
		}
		return classify(fmt.Errorf("uninstall service: %w", err))
	}
	_, err = fmt.Fprintf(out, "xdist: service %s is removed\n", serviceName)
	return err
}

// runAsService runs serve as Windows' service manager wants it when that has started this process,
// and directly otherwise: other service managers start a program and send it a signal.
func runAsService(ctx context.Context, serve func(context.Context) error) error {
	if runtime.GOOS != "windows" || service.Interactive() {
		return serve(ctx)
	}
	p := &serviceProgram{ctx: ctx, serve: serve}
	s, err := service.New(p, &service.Config{Name: serviceName})
	if err != nil {
		return classify(err)
	}
	if err := s.Run(); err != nil {
		return classify(err)
	}
	return nil
}

// serviceProgram is the server between Start and Stop. It owns the goroutine that serves; Stop
// joins it.
type serviceProgram struct {
	ctx    context.Context
	serve  func(context.Context) error
	cancel context.CancelFunc
	endc   chan error // capacity 1, never closed
}

// Start implements service.Interface.
func (p *serviceProgram) Start(service.Service) error {
	ctx, cancel := context.WithCancel(p.ctx)
	p.cancel, p.endc = cancel, make(chan error, 1)
	go func() { p.endc <- p.serve(ctx) }()
	return nil
}

// Stop implements service.Interface.
func (p *serviceProgram) Stop(service.Service) error {
	p.cancel()
	return <-p.endc
}
