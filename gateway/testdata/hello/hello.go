// Package hello is what an example runs on another host.
package hello

import (
	"context"

	"github.com/xdist-go/xdist/gateway"
)

// Remote greets whom its argument names.
func Remote(ctx context.Context, ch *gateway.Channel) error {
	var name string
	if err := ch.Args().Decode(&name); err != nil {
		return err
	}
	return ch.Send(ctx, "hello, "+name)
}
