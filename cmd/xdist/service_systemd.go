package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/kardianos/service"
)

// withUnit gives a service the text of its unit, for systemd. That of kardianos/service belongs to
// the target multi-user, which the managers of users do not have, names no user for a service of
// the system, which has no home directory then, and lets systemd expand what is in arguments.
func withUnit(config *service.Config) (*service.Config, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if config.Option == nil {
		config.Option = service.KeyValue{}
	}
	config.Option["SystemdScript"] = systemdUnit(program, config)
	return config, nil
}

func systemdUnit(program string, config *service.Config) string {
	inUnit := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "\n", `\n`, "{", `\x7b`).Replace // a { would be the library's
	var b strings.Builder
	fmt.Fprintf(&b, "[Unit]\nDescription=%s\n", strings.ReplaceAll(config.Description, "%", "%%")) // a Builder takes all
	if config.Option["UserService"] != true {
		b.WriteString("Wants=network-online.target\nAfter=network-online.target\n")
	}
	fmt.Fprintf(&b, "\n[Service]\nExecStart=\"%s\"", inUnit(program))
	for _, word := range config.Arguments {
		fmt.Fprintf(&b, ` "%s"`, strings.ReplaceAll(inUnit(word), "$", "$$"))
	}
	b.WriteString("\nRestart=always\nRestartSec=5\n")
	if config.Option["UserService"] == true {
		b.WriteString("\n[Install]\nWantedBy=default.target\n")
	} else {
		fmt.Fprintf(&b, "User=%s\n\n[Install]\nWantedBy=multi-user.target\n", cmp.Or(config.UserName, "root"))
	}
	return b.String()
}
