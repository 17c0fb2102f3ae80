package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"sync"

	"github.com/xdist-go/xdist/gateway"
)

// handlers are what the agents of these tests offer.
func handlers() gateway.Handlers {
	all := make(gateway.Handlers)
	for _, some := range []gateway.Handlers{itemHandlers(), floodHandlers(), refHandlers(), processHandlers(), thornHandlers(), systemHandlers()} {
		maps.Copy(all, some)
	}
	return all
}

// itemHandlers answer with items.
func itemHandlers() gateway.Handlers {
	return gateway.Handlers{
		"echo": func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
			for it, err := range ch.Items(ctx) {
				if err != nil {
					return err
				}
				if err := ch.Send(ctx, it); err != nil {
					return err
				}
			}
			return nil
		},
		"increment": func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
			var n int
			if err := ch.Receive(ctx, &n); err != nil {
				return err
			}
			return ch.Send(ctx, n+1)
		},
		"send": func(ctx context.Context, ch *gateway.Channel, args gateway.Item) error { // its arguments
			var values []any
			if err := args.Decode(&values); err != nil {
				return err
			}
			for _, v := range values {
				if err := ch.Send(ctx, v); err != nil {
					return err
				}
			}
			return nil
		},
		"send42 and fail": func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
			return errors.Join(ch.Send(ctx, 42), errors.New("out of luck"))
		},
	}
}

// floodHandlers send more than anybody asked for.
func floodHandlers() gateway.Handlers {
	return gateway.Handlers{
		"count": func(ctx context.Context, ch *gateway.Channel, args gateway.Item) error {
			var n int
			if err := args.Decode(&n); err != nil {
				return err
			}
			for i := range n {
				if err := ch.Send(ctx, i); err != nil {
					return err
				}
			}
			return nil
		},
		"flood": func(ctx context.Context, ch *gateway.Channel, args gateway.Item) error { // until nobody reads
			var size int
			if err := args.Decode(&size); err != nil {
				return err
			}
			for block := make([]byte, size); ; {
				if err := ch.Send(ctx, block); err != nil {
					return err
				}
			}
		},
		"flood and take": func(ctx context.Context, ch *gateway.Channel, args gateway.Item) error { // for "taken"
			var size int
			if err := args.Decode(&size); err != nil {
				return err
			}
			var taking sync.WaitGroup
			defer taking.Wait()
			taking.Go(func() {
				for text, err := range gateway.All[string](context.Background(), ch) {
					if err != nil {
						return
					}
					taken.add(text)
				}
			})
			for block := make([]byte, size); ; {
				if err := ch.Send(ctx, block); err != nil {
					return err
				}
			}
		},
	}
}

// refHandlers have channels beside their own.
func refHandlers() gateway.Handlers {
	return gateway.Handlers{
		"two channels": func(ctx context.Context, ch *gateway.Channel, args gateway.Item) error {
			var pair struct{ From, To gateway.Ref }
			if err := args.Decode(&pair); err != nil {
				return err
			}
			from, err := ch.Resolve(ctx, pair.From)
			if err != nil {
				return err
			}
			to, err := ch.Resolve(ctx, pair.To)
			if err != nil {
				return err
			}
			for it, err := range from.Items(ctx) {
				if err != nil {
					return err
				}
				if err := to.Send(ctx, it); err != nil {
					return err
				}
			}
			return to.CloseSend()
		},
		"echo and report": func(ctx context.Context, ch *gateway.Channel, args gateway.Item) error { // how the echo ended
			var ref gateway.Ref
			if err := args.Decode(&ref); err != nil {
				return err
			}
			report, err := ch.Resolve(ctx, ref)
			if err != nil {
				return err
			}
			for it, err := range ch.Items(ctx) {
				if err != nil {
					return report.Send(context.WithoutCancel(ctx), err.Error())
				}
				if err := ch.Send(ctx, it); err != nil {
					return err
				}
			}
			return report.Send(context.WithoutCancel(ctx), "in order")
		},
		"increment and report": func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error { // on a channel of its own
			report, err := ch.NewChannel(ctx)
			if err != nil {
				return err
			}
			defer report.Close()
			if err := ch.Send(ctx, report.Ref()); err != nil {
				return err
			}
			var n int
			if err := ch.Receive(ctx, &n); err != nil {
				return err
			}
			return report.Send(ctx, n+1)
		},
	}
}

// processHandlers show or end the process that they run in.
func processHandlers() gateway.Handlers {
	return gateway.Handlers{
		"chdir": func(_ context.Context, _ *gateway.Channel, args gateway.Item) error {
			var dir string
			return errors.Join(args.Decode(&dir), os.Chdir(dir))
		},
		"panic":  func(context.Context, *gateway.Channel, gateway.Item) error { panic("at the disco") },
		"goexit": func(context.Context, *gateway.Channel, gateway.Item) error { runtime.Goexit(); return nil },
		"exit": func(_ context.Context, _ *gateway.Channel, args gateway.Item) error {
			var code int
			if err := args.Decode(&code); err != nil {
				return err
			}
			fmt.Fprintln(os.Stderr, "last words")
			os.Exit(code)
			return nil
		},
		"close": func(_ context.Context, ch *gateway.Channel, _ gateway.Item) error { return ch.Close() },
		"block": func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
			if err := ch.Send(ctx, "blocking"); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		},
		"noise": func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
			fmt.Println("to standard output")
			fmt.Fprintln(os.Stderr, "to standard error")
			b, err := io.ReadAll(os.Stdin)
			if err != nil {
				return err
			}
			return ch.Send(ctx, len(b))
		},
		"getenv": func(ctx context.Context, ch *gateway.Channel, args gateway.Item) error {
			var name string
			if err := args.Decode(&name); err != nil {
				return err
			}
			return ch.Send(ctx, os.Getenv(name))
		},
		"getwd": func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
			dir, err := os.Getwd()
			return errors.Join(err, ch.Send(ctx, dir))
		},
		"read file":    readFile,
		"exit at once": func(context.Context, *gateway.Channel, gateway.Item) error { return nil },
	}
}
