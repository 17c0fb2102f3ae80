package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/xdist-go/xdist/gateway"
)

// A bank is a program whose agents each keep an account. What touches it is on one lane, and what
// it refuses is an error that callers know.
var (
	errOverdrawn = errors.New("not that much money")
	account      gateway.Lane // for the balance
	balance      int

	deposit = gateway.Func("deposit", gateway.OnLane(&account, func(_ context.Context, n int) (int, error) {
		balance += n
		return balance, nil
	}))
	withdraw = gateway.Func("withdraw", gateway.OnLane(&account, func(_ context.Context, n int) (int, error) {
		if n > balance {
			return balance, fmt.Errorf("withdraw %d of %d: %w", n, balance, errOverdrawn)
		}
		balance -= n
		return balance, nil
	}))
)

func init() { gateway.RegisterError("bank.overdrawn", errOverdrawn) }

// tickets are numbered one after the other, whoever asks.
var tickets int

var ticket = gateway.Func("ticket", gateway.Serial(func(context.Context, any) (int, error) {
	tickets++
	return tickets, nil
}))

// Calls run at the same time, but for those that Serial keeps apart.
func ExampleSerial() {
	// In a variable or an init function, so that agents have it, too:
	//
	//	var ticket = gateway.Func("ticket", gateway.Serial(func(context.Context, any) (int, error) {
	//		tickets++
	//		return tickets, nil
	//	}))
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	var calls []*gateway.Future[int]
	for range 10 {
		calls = append(calls, ticket.Go(ctx, gw, nil))
	}
	sum := 0
	for _, c := range calls {
		n, err := c.Wait(ctx)
		if err != nil {
			log.Fatal(err)
		}
		sum += n
	}
	fmt.Println("all numbers from 1 to 10:", sum == 10*11/2)
	// Output: all numbers from 1 to 10: true
}

// Functions of one lane never run at the same time, whichever of them is called.
func ExampleOnLane() {
	// In variables, so that agents have them, too:
	//
	//	var (
	//		account  gateway.Lane
	//		deposit  = gateway.Func("deposit", gateway.OnLane(&account, add))
	//		withdraw = gateway.Func("withdraw", gateway.OnLane(&account, subtract))
	//	)
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(deposit.Call(ctx, gw, 100))
	one, other := deposit.Go(ctx, gw, 5), withdraw.Go(ctx, gw, 40)
	for _, c := range []*gateway.Future[int]{one, other} {
		if _, err := c.Wait(ctx); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(withdraw.Call(ctx, gw, 0))
	// Output:
	// 100 <nil>
	// 65 <nil>
}

// Both sides know an error by a name: here they are one program.
func ExampleRegisterError() {
	// func init() { gateway.RegisterError("bank.overdrawn", errOverdrawn) }
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	_, err = withdraw.Call(ctx, gw, 1000)
	fmt.Println(err)
	fmt.Println(errors.Is(err, errOverdrawn))
	// Output:
	// call "withdraw" on gateway gw0: remote: withdraw 1000 of 0: not that much money
	// true
}

// Be told of a result, while the program does something else.
func ExampleFuture_OnDone() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	told := make(chan string)
	square.Go(ctx, gw, 12).OnDone(func(n int, err error) { told <- fmt.Sprint(n, " ", err) })
	fmt.Println(<-told)
	// Output: 144 <nil>
}
