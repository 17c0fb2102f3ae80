package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/kardianos/service"
	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/xspec"
)

// netService describes the process of a network to the service manager: a service of this user's,
// unless that is root, whose services are the system's. Files of the hosts' specs that are not
// named absolutely would not be found: a service starts elsewhere.
func netService(name string, specs []string, user string, root, debug bool) (*service.Config, error) {
	arguments := []string{"net", "run", name}
	for _, text := range specs {
		s, err := xspec.Parse(text)
		if err != nil {
			return nil, err
		}
		if s.Key != "" && !filepath.IsAbs(s.Key) && s.Key[0] != '~' {
			return nil, &xspec.Error{Spec: text, Field: "key=" + s.Key, Reason: "a service starts in another directory: name the file from / on"}
		}
		arguments = append(arguments, "--tx", text)
	}
	if debug {
		arguments = append(arguments, "--debug")
	}
	return withUnit(&service.Config{
		Name: "xdist-net-" + name, DisplayName: "xdist network " + name, Description: "Keeps gateways to the hosts of the network " + name,
		Arguments: arguments, UserName: user, Option: service.KeyValue{"UserService": !root},
	})
}

func installNet(c *cli.Context) error {
	name, err := netName(c, "")
	if err != nil {
		return err
	}
	specs, err := netSpecs(c, name)
	if err == nil && len(specs) == 0 {
		err = fmt.Errorf("xdist net install: which hosts has network %s? Give it --tx, or [networks.%s] in the configuration", name, name)
	}
	root := os.Geteuid() == 0
	if err == nil && runtime.GOOS == "windows" {
		err = fmt.Errorf("xdist net install: services of Windows are another user's, and this user could not reach the network: have the Task Scheduler run it, by "+
			`schtasks /create /sc onlogon /tn xdist-net-%[1]s /tr "xdist net start %[1]s --tx SPEC"`, name)
	}
	if err == nil && c.String("user") != "" && !root {
		err = fmt.Errorf("xdist net install: --user %s is for root; without it the network is this user's", c.String("user"))
	}
	if err != nil {
		return usageError(err)
	}
	config, err := netService(name, specs, c.String("user"), root, c.Bool("debug"))
	if err != nil {
		return usageError(err)
	}
	s, err := service.New(&serviceProgram{}, config)
	if err == nil {
		err = s.Install()
	}
	if err != nil {
		return classify(fmt.Errorf("install service %s: %w", config.Name, err))
	}
	if err := s.Start(); err != nil {
		return classify(fmt.Errorf("start service %s, which is installed now: %w", config.Name, err))
	}
	hint := ""
	if s.Platform() == "linux-systemd" && !root {
		hint = "xdist: it starts when you log in, and with \"loginctl enable-linger\" when the system does\n"
	}
	_, err = fmt.Fprintf(c.App.Writer, "xdist: service %s is installed and was started (%s)\n%s", config.Name, s.Platform(), hint)
	return err
}

func uninstallNet(c *cli.Context) error {
	name, err := netName(c, "")
	if err != nil {
		return err
	}
	config, err := netService(name, nil, "", os.Geteuid() == 0, false)
	if err != nil {
		return classify(err)
	}
	s, err := service.New(&serviceProgram{}, config)
	if err != nil {
		return classify(fmt.Errorf("uninstall service %s: %w", config.Name, err))
	}
	stopErr := s.Stop() // one that does not run can be removed all the same
	if err := s.Uninstall(); err != nil {
		if stopErr != nil {
			err = fmt.Errorf("%w (and stop it: %w)", err, stopErr)
		}
		return classify(fmt.Errorf("uninstall service %s: %w", config.Name, err))
	}
	_, err = fmt.Fprintf(c.App.Writer, "xdist: service %s is removed\n", config.Name)
	return err
}
