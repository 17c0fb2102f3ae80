package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gateway/keyed"
)

func keygenCommand() *cli.Command {
	return &cli.Command{
		Name:      "keygen",
		Usage:     "make a file with a new shared key for xdist serve and its clients",
		UsageText: "xdist keygen FILE",
		Description: "The file can be read by its owner only, and an existing one is not touched. Whoever has a copy can run programs\n" +
			"where \"xdist serve\" was started with it: copy it over ssh. The same fingerprint is printed by both sides that use the same key.",
		HideHelpCommand: true,
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usageError(errors.New("xdist keygen: want the name of one file"))
			}
			name, key := c.Args().First(), keyed.Generate()
			if err := keyed.Create(name, key, keyComment()); err != nil {
				return classify(err)
			}
			_, err := fmt.Fprintf(c.App.Writer, "%s: key with fingerprint %s\n", name, key.Fingerprint())
			return err
		},
	}
}

// keyComment says where a key comes from.
func keyComment() string {
	host, err := os.Hostname()
	if err != nil {
		return "made by xdist keygen"
	}
	return "made on " + host
}
