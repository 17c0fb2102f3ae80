package gateway

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"sync"
)

// Object is a reference to a value that lives in an agent. Export makes one there; it is sent as,
// or inside, an item or a result, used at the controller by Call, CallOn and Proxy, and given back
// to the agent in the arguments of other calls, where Value turns it into the value again. It has a
// meaning on its own gateway only. The value lives until Close, or until its gateway ends: nothing
// is left to the garbage collector. The zero Object refers to nothing.
type Object struct {
	_     struct{} `cbor:",toarray"`
	Nonce uint64   // of the connection
	ID    uint64
}

// errReleased is the error of a use after the release.
var errReleased = errors.New("the object was released, or never was")

// objects are the values that an agent has exported on one connection.
type objects struct {
	mu     sync.Mutex // guards the fields below
	lastID uint64
	held   map[uint64]exported
}

// exported is a value with the type whose methods may be called.
type exported struct {
	value reflect.Value // an I
	as    reflect.Type  // of I
}

// Export makes v an object of the connection that the handler or function serves, whose context ctx
// is. The methods of I can be called, which is an interface or a type with methods: with any
// arguments and results that CBOR can encode, a context before them and an error behind them.
func Export[I any](ctx context.Context, v I) (Object, error) {
	n, err := handlerSession(ctx)
	if err != nil {
		return Object{}, fmt.Errorf("export a %T: %w", v, err)
	}
	o := &n.objects
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lastID++
	if o.held == nil {
		o.held = make(map[uint64]exported)
	}
	o.held[o.lastID] = exported{reflect.ValueOf(&v).Elem(), reflect.TypeFor[I]()}
	return Object{Nonce: n.nonce, ID: o.lastID}, nil
}

// Value returns the value of an object that came in an argument, where it lives. ctx is that of the
// handler or call. It is an error for an object of another gateway, one that was released, and one
// that is no V.
func Value[V any](ctx context.Context, o Object) (V, error) {
	var zero V
	n, err := handlerSession(ctx)
	if err != nil {
		return zero, fmt.Errorf("find object %d: %w", o.ID, err)
	}
	e, err := n.object(o)
	if err != nil {
		return zero, err
	}
	v, ok := e.value.Interface().(V)
	if !ok {
		return zero, fmt.Errorf("object %d is a %s and no %s", o.ID, e.as, reflect.TypeFor[V]())
	}
	return v, nil
}

// object returns what o refers to in this agent.
func (n *session) object(o Object) (exported, error) {
	if o.Nonce != n.nonce {
		return exported{}, fmt.Errorf("object %d is of another gateway than %s", o.ID, n.name)
	}
	n.objects.mu.Lock()
	defer n.objects.mu.Unlock()
	e, ok := n.objects.held[o.ID]
	if !ok {
		return e, fmt.Errorf("object %d of gateway %s: %w", o.ID, n.name, errReleased)
	}
	return e, nil
}

// objectFunction is the function by which objects are used.
const objectFunction = reservedPrefix + "object"

// objectCall is its argument.
type objectCall struct {
	Object  Object `cbor:"1,keyasint"`
	Method  string `cbor:"2,keyasint,omitempty"`
	Args    []Item `cbor:"3,keyasint,omitempty"`
	Release bool   `cbor:"4,keyasint,omitempty"`
}

// callObject implements objectFunction. The result is nothing, the one result, or a list.
func callObject(ctx context.Context, args Item) (any, error) {
	var c objectCall
	if err := args.Decode(&c); err != nil {
		return nil, err
	}
	n, err := handlerSession(ctx)
	if err != nil {
		return nil, err
	}
	e, err := n.object(c.Object)
	if err != nil {
		return nil, err
	}
	if c.Release {
		n.objects.mu.Lock()
		defer n.objects.mu.Unlock()
		delete(n.objects.held, c.Object.ID)
		return nil, nil
	}
	return e.call(ctx, c.Method, c.Args)
}

var (
	contextType = reflect.TypeFor[context.Context]()
	errorIface  = reflect.TypeFor[error]()
)

// call calls a method.
func (e exported) call(ctx context.Context, name string, args []Item) (any, error) {
	m, ok := e.as.MethodByName(name)
	if !ok || e.value.Kind() == reflect.Interface && e.value.IsNil() {
		return nil, fmt.Errorf("a %s has no method %q", e.as, name)
	}
	f := e.value.MethodByName(m.Name)
	t := f.Type()
	in := make([]reflect.Value, 0, t.NumIn())
	if t.NumIn() > 0 && t.In(0) == contextType {
		in = append(in, reflect.ValueOf(ctx))
	}
	if t.IsVariadic() || len(args) != t.NumIn()-len(in) {
		return nil, fmt.Errorf("method %s of %s is a %s, and was given %d arguments", name, e.as, t, len(args))
	}
	for _, arg := range args {
		v := reflect.New(t.In(len(in)))
		if err := arg.Decode(v.Interface()); err != nil {
			return nil, fmt.Errorf("method %s of %s: %w", name, e.as, err)
		}
		in = append(in, v.Elem())
	}
	out := f.Call(in)
	if last := len(out) - 1; last >= 0 && t.Out(last) == errorIface {
		if err, _ := out[last].Interface().(error); err != nil {
			return nil, err
		}
		out = out[:last]
	}
	switch len(out) {
	case 0:
		return nil, nil
	case 1:
		return out[0].Interface(), nil
	}
	list := make([]any, len(out))
	for i, v := range out {
		list[i] = v.Interface()
	}
	return list, nil
}

// connections are the gateways of this program that live, by their nonce: an Object finds its own.
var connections sync.Map // uint64 → *Gateway

// Call calls a method of the object and stores its result in *result, which may be nil. A method
// with several results needs a slice, or a struct that CBOR decodes from a list. Errors are those
// of the package's Call, and that the object was released.
func (o Object) Call(ctx context.Context, method string, result any, args ...any) error {
	c := objectCall{Object: o, Method: method}
	for _, arg := range args {
		it, err := NewItem(arg)
		if err != nil {
			return fmt.Errorf("call method %s: %w", method, err)
		}
		c.Args = append(c.Args, it)
	}
	return o.use(ctx, c, result)
}

// Close releases the object. A second call is an error, as is any use after it.
func (o Object) Close(ctx context.Context) error {
	return o.use(ctx, objectCall{Object: o, Release: true}, nil)
}

func (o Object) use(ctx context.Context, c objectCall, result any) error {
	what := "call method " + c.Method
	if c.Release {
		what = "release"
	}
	found, ok := connections.Load(o.Nonce)
	if !ok {
		return fmt.Errorf("%s of object %d: its gateway is not one of this program, or has ended", what, o.ID)
	}
	gw := found.(*Gateway)
	it, err := gw.calls.call(ctx, gw, objectFunction, c)
	if err == nil && result != nil {
		err = it.Decode(result)
	}
	if err != nil {
		return fmt.Errorf("%s of object %d on gateway %s: %w", what, o.ID, gw.ID(), err)
	}
	return nil
}

// CallOn calls a method of an object that has one result.
func CallOn[T any](ctx context.Context, o Object, method string, args ...any) (T, error) {
	var result T
	err := o.Call(ctx, method, &result, args...)
	return result, err
}

// CallOnEach is CallOn for many objects at once, of whatever gateways, and yields the results as
// they come. Who stops to range ends the calls that still run.
func CallOnEach[T any](ctx context.Context, objects []Object, method string, args ...any) iter.Seq2[Object, Result[T]] {
	return func(yield func(Object, Result[T]) bool) {
		callEach(ctx, objects, yield, func(ctx context.Context, o Object) (T, error) {
			return CallOn[T](ctx, o, method, args...)
		})
	}
}

// Proxy returns an S, a struct of exported func fields, each of which calls the object's method of
// its name. A field is a func with a context first and an error last; between them it has the
// method's arguments and at most one result. With the tag `gateway:"once"` a result that came
// without an error is kept, and the method called once only, for values that never change. It
// panics when S is not like that.
func Proxy[S any](o Object) S {
	var s S
	v := reflect.ValueOf(&s).Elem()
	if v.Kind() != reflect.Struct {
		panic(fmt.Sprintf("gateway: Proxy of %T: it is no struct", s))
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		t := f.Type
		if t.Kind() != reflect.Func || t.IsVariadic() || t.NumIn() == 0 || t.In(0) != contextType ||
			t.NumOut() < 1 || t.NumOut() > 2 || t.Out(t.NumOut()-1) != errorIface || !f.IsExported() {
			panic(fmt.Sprintf("gateway: Proxy of %T: field %s is no exported func(context.Context, …) (…, error)", s, f.Name))
		}
		v.Field(i).Set(proxyMethod(o, f.Name, t, f.Tag.Get("gateway") == "once"))
	}
	return s
}

// proxyMethod makes the func of a type that calls a method.
func proxyMethod(o Object, name string, t reflect.Type, once bool) reflect.Value {
	turn := make(chan struct{}, 1) // who has put something in may use kept
	var kept []reflect.Value
	return reflect.MakeFunc(t, func(in []reflect.Value) []reflect.Value {
		ctx := in[0].Interface().(context.Context)
		if once {
			select {
			case turn <- struct{}{}:
				defer func() { <-turn }()
			case <-ctx.Done():
				return failed(t, ctx.Err())
			}
			if kept != nil {
				return kept
			}
		}
		var args []any
		for _, arg := range in[1:] {
			args = append(args, arg.Interface())
		}
		var out []reflect.Value
		var result any
		if t.NumOut() == 2 {
			v := reflect.New(t.Out(0))
			out, result = append(out, v.Elem()), v.Interface()
		}
		if err := o.Call(ctx, name, result, args...); err != nil {
			return failed(t, err)
		}
		out = append(out, reflect.Zero(errorIface))
		if once {
			kept = out
		}
		return out
	})
}

// failed are the results of a func of the type that has failed.
func failed(t reflect.Type, err error) []reflect.Value {
	var out []reflect.Value
	for i := range t.NumOut() - 1 {
		out = append(out, reflect.Zero(t.Out(i)))
	}
	return append(out, reflect.ValueOf(&err).Elem())
}
