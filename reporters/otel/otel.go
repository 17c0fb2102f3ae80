// Package otel sends a run as one trace to an OpenTelemetry collector, by OTLP over HTTP: a span
// for the run, below it one for each process that a gateway ran and for the way to each gateway,
// and below a process one for each top-level test, failed attempts included. The span of a failure
// has its message and its place.
//
// The environment says where the collector is and what the trace is a part of, as OpenTelemetry
// specifies: OTEL_EXPORTER_OTLP_ENDPOINT and its kin, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
// OTEL_TRACES_SAMPLER; TRACEPARENT and TRACESTATE name the span that the run is
// below of. Tests find the run's own in theirs, so that what they trace is below the run.
//
// # Goroutines, limits
//
// A Trace is sent when the run has ended, within sendLimit, from the goroutine that closes it; it
// has no others. Spans beyond spansKept are left out, and the run's says how many. A collector that
// cannot be reached, or refuses, changes nothing about the run.
package otel

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/reporters/timeline"
	"github.com/xdist-go/xdist/scheduler/event"
)

const (
	spansKept = 1_000_000
	sendLimit = 10 * time.Second
	tryLimit  = 3 * time.Second // for a request, while the collector is not there or asks for patience
)

// Config is what a Trace is made with.
type Config struct {
	Version  string         // of the program that sends it
	Failures *failure.Watch // whom it asks about failures; nil is one of its own
	Warn     func(error)    // is told why a trace could not be sent; not nil
}

// Trace collects a run and sends it at the end. Its methods are called from one goroutine.
type Trace struct {
	cfg      Config
	exporter sdk.SpanExporter
	tracer   trace.Tracer
	sent     *sender
	run      context.Context // has the run's span
	failures failure.Shared

	timeline timeline.Timeline
	started  event.RunStarted
	ended    event.RunEnded
	why      map[testID]failure.Finding // of the tests that failed
}

type testID struct{ pkg, test string }

// New begins a trace. It asks nothing of the collector.
func New(ctx context.Context, cfg Config) (*Trace, error) {
	if name, protocol := protocolOf(os.Getenv); protocol != "" && protocol != "http/protobuf" {
		return nil, fmt.Errorf("%s=%s: traces are sent by http/protobuf alone", name, protocol)
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
		Enabled: true, InitialInterval: 100 * time.Millisecond, MaxInterval: time.Second, MaxElapsedTime: tryLimit}))
	if err != nil {
		return nil, fmt.Errorf("prepare for the OpenTelemetry collector: %w", err)
	}
	return newTrace(ctx, cfg, exporter)
}

// protocolOf is the variable that chooses a protocol, and what it says.
func protocolOf(getenv func(string) string) (name, value string) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if value := getenv(name); value != "" {
			return name, value
		}
	}
	return "", ""
}

func newTrace(ctx context.Context, cfg Config, exporter sdk.SpanExporter) (*Trace, error) {
	about, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName("xdist"), semconv.ServiceVersion(cfg.Version)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OpenTelemetry's resource: %w", err)
	}
	t := &Trace{cfg: cfg, exporter: exporter, sent: &sender{exporter: exporter}, failures: failure.Share(cfg.Failures),
		timeline: timeline.Timeline{Limit: spansKept}, why: map[testID]failure.Finding{}}
	t.tracer = sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithSpanProcessor(t.sent)).Tracer("github.com/xdist-go/xdist/reporters/otel")
	above := propagation.MapCarrier{"traceparent": os.Getenv("TRACEPARENT"), "tracestate": os.Getenv("TRACESTATE")}
	t.run, _ = t.tracer.Start(propagation.TraceContext{}.Extract(context.WithoutCancel(ctx), above), "xdist", trace.WithSpanKind(trace.SpanKindInternal))
	return t, nil
}

// Env is what tells tests of the run's span.
func (t *Trace) Env() []string {
	in := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(t.run, in)
	var env []string
	for _, key := range in.Keys() {
		env = append(env, strings.ToUpper(key)+"="+in.Get(key))
	}
	return env
}

// Handle keeps what the trace needs. It returns no error.
func (t *Trace) Handle(e event.Event) error {
	t.timeline.Add(e)
	if ended := t.failures.See(e); ended != nil && len(t.why) < spansKept {
		for _, f := range ended.Findings { // of an item, or of what in it has failed
			top, _, _ := strings.Cut(f.Test, "/")
			t.why[testID{f.Package, top}] = f
		}
	}
	switch e := e.(type) {
	case event.RunStarted:
		t.started = e
	case event.RunEnded:
		t.ended = e
	}
	return nil
}

// Close sends the trace.
func (t *Trace) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), sendLimit)
	defer cancel()
	defer t.exporter.Shutdown(ctx) // the sender has its errors
	if t.ended.Time.IsZero() {
		return nil
	}
	t.sent.ctx = ctx
	for _, s := range t.timeline.Steps {
		t.sendStep(s)
	}
	t.sendProcesses()
	t.endRun()
	t.sent.flush()
	if t.sent.err != nil {
		t.cfg.Warn(fmt.Errorf("send the trace to OpenTelemetry's collector: %w", t.sent.err))
	}
	return nil
}

// sendStep sends what was done so that tests could run.
func (t *Trace) sendStep(s timeline.Step) {
	name, about := s.Of, []attribute.KeyValue{semconv.HostName(s.Host)}
	switch s.Kind {
	case timeline.Connect:
		about = append(about, attribute.String("xdist.gateway", s.Of))
	case timeline.Build:
		name, about = s.Package, append(about, semconv.TestSuiteName(s.Package), attribute.String("xdist.platform", s.Of))
	case timeline.Collect:
		about = append(about, attribute.String("xdist.platform", s.Of))
	case timeline.Send:
		about = append(about, attribute.Int64("xdist.bytes", s.Bytes))
	}
	_, span := t.begin(t.run, s.Kind.String()+" "+name, t.at(s.From), about...)
	if s.Failed {
		span.SetStatus(codes.Error, "there is nothing to run")
	}
	span.End(trace.WithTimestamp(t.at(s.To)))
}

// begin begins a span at a time of this machine.
func (t *Trace) begin(in context.Context, name string, from time.Time, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	return t.tracer.Start(in, name, trace.WithTimestamp(from), trace.WithAttributes(attrs...))
}

// sendProcesses sends what gateways ran. A timeline has the tests of a process before it, as they
// end first.
func (t *Trace) sendProcesses() {
	tests := make([][]timeline.Bar, len(t.timeline.Gateways)) // of the process that has not come yet
	for _, bar := range t.timeline.Bars {
		if bar.Outcome != timeline.Process {
			tests[bar.Gateway] = append(tests[bar.Gateway], bar)
			continue
		}
		g := t.timeline.Gateways[bar.Gateway]
		ctx, process := t.begin(t.run, bar.Package, t.at(bar.From),
			semconv.TestSuiteName(bar.Package), attribute.String("xdist.gateway", g.ID), semconv.HostName(g.Host))
		for _, test := range tests[bar.Gateway] {
			t.sendTest(ctx, test)
		}
		tests[bar.Gateway] = tests[bar.Gateway][:0]
		process.End(trace.WithTimestamp(t.at(bar.To)))
	}
}

// at is when a bar has begun or ended.
func (t *Trace) at(since time.Duration) time.Time { return t.started.Time.Add(since) }

// sendTest sends an attempt at a test.
func (t *Trace) sendTest(process context.Context, bar timeline.Bar) {
	_, span := t.begin(process, bar.Test, t.at(bar.From),
		semconv.TestCaseName(bar.ID()), semconv.TestSuiteName(bar.Package),
		attribute.String("test.case.result.status", bar.Outcome.String()), attribute.Int("xdist.attempt", int(bar.Attempt)))
	if bar.Outcome == timeline.Failed || bar.Outcome == timeline.Ended {
		f := t.why[testID{bar.Package, bar.Test}]
		span.SetStatus(codes.Error, f.Place.Message)
		if file := cmp.Or(f.Path, f.Place.File); file != "" {
			span.SetAttributes(semconv.CodeFilePath(file), semconv.CodeLineNumber(f.Place.Line))
		}
	}
	span.End(trace.WithTimestamp(t.at(bar.To)))
}

// endRun ends the run's span, which says how the run came out.
func (t *Trace) endRun() {
	span := trace.SpanFromContext(t.run)
	span.SetAttributes(attribute.String("xdist.run.id", t.started.RunID), attribute.StringSlice("process.command_args", t.started.Command),
		attribute.Int("xdist.gateways", len(t.timeline.Gateways)))
	for verdict, n := range t.ended.Summary.Counts {
		span.SetAttributes(attribute.Int("xdist.tests."+string(verdict), n))
	}
	if t.timeline.Lost > 0 {
		span.SetAttributes(attribute.Int("xdist.spans_left_out", t.timeline.Lost))
	}
	switch {
	case t.ended.Fatal != nil:
		span.SetStatus(codes.Error, t.ended.Fatal.Error())
	case t.ended.Summary.Bad()+t.ended.Summary.Failed+t.ended.Summary.BuildFailed > 0:
		span.SetStatus(codes.Error, "tests failed")
	}
	span.End(trace.WithTimestamp(t.ended.Time))
}

// batchSize is how many spans a request has, as by default in OpenTelemetry's own.
const batchSize = 512

// sender sends spans that have ended, in batches and from the goroutine that ends them. After an
// error it sends no more.
type sender struct {
	exporter sdk.SpanExporter
	ctx      context.Context
	batch    []sdk.ReadOnlySpan
	err      error
}

func (s *sender) OnStart(context.Context, sdk.ReadWriteSpan) {}

func (s *sender) OnEnd(span sdk.ReadOnlySpan) {
	if s.batch = append(s.batch, span); len(s.batch) == batchSize {
		s.flush()
	}
}

func (s *sender) flush() {
	if s.err == nil && len(s.batch) > 0 {
		s.err = s.exporter.ExportSpans(s.ctx, s.batch)
	}
	s.batch = nil
}

func (s *sender) ForceFlush(context.Context) error { return nil }
func (s *sender) Shutdown(context.Context) error   { return nil }

var _ event.Reporter = (*Trace)(nil)
