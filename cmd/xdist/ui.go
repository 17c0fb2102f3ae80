package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/reporters/ui"
)

const flagKeep = "keep"

func uiCommand() *cli.Command {
	return &cli.Command{
		Name:      "ui",
		Usage:     "run tests, and show the run in a browser while it goes on",
		UsageText: "xdist ui [--keep] [xdist flags] [packages] [go test flags]",
		Description: "The address of the page is printed first. It is on this machine only, and has a token: who does not know it sees nothing.\n" +
			"When the run has ended the page is the report that --html writes.",
		HideHelpCommand: true,
		Flags:           append([]cli.Flag{&cli.BoolFlag{Name: flagKeep, Usage: "serve the report until Ctrl-C, when the run has ended"}}, runFlags()...),
		Action:          runTests,
	}
}

// page is what a browser shows of a run; nil is nothing.
type page struct{ *ui.Server }

// openPage serves the page where it was asked for.
func openPage(c *cli.Context, book *history.Book) (*page, error) {
	if c.Command.Name != "ui" {
		return nil, nil
	}
	server, err := ui.NewServer(nil, book.Sights)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(c.App.ErrWriter, "xdist: the run is shown at %s\n", server.Address())
	return &page{server}, nil
}

// stay serves the report of the run that has ended for as long as the user wants.
func (p *page) stay(c *cli.Context) {
	if p != nil && c.Bool(flagKeep) && c.Context.Err() == nil {
		fmt.Fprintln(c.App.ErrWriter, "xdist: the report is shown until Ctrl-C")
		<-c.Context.Done()
	}
}

// end ends the server.
func (p *page) end(c *cli.Context) {
	if p == nil {
		return
	}
	if err := p.End(); err != nil {
		warnTo(c.App.ErrWriter)(err)
	}
}
