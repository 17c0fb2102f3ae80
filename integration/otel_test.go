package integration

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	v1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collected is what a collector was sent.
type collected struct {
	mu    sync.Mutex          // guards what follows
	spans map[string]*v1.Span // by their names
	names map[string]string   // of spans, by their id
	about []string            // attributes of what sent them
}

func (c *collected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(r.Body)
	}
	data, err := io.ReadAll(body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(data, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("X-Tenant") != "a" {
		http.Error(w, "what is that?", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		for _, kv := range resource.Resource.Attributes {
			c.about = append(c.about, kv.Key+"="+kv.Value.GetStringValue())
		}
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				c.spans[span.Name] = span
				c.names[string(span.SpanId)] = span.Name
			}
		}
	}
}

// --otel sends one trace to a collector: the run below the span of its caller, in it processes, in
// them tests. Tests are told of the run's span. A collector that is not there changes nothing.
func TestOpenTelemetry(t *testing.T) {
	c := &collected{spans: map[string]*v1.Span{}, names: map[string]string{}}
	server := httptest.NewServer(c)
	defer server.Close()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/traced\n\ngo 1.24\n",
		"a_test.go": `package traced

import ("os"; "testing")

func TestTold(t *testing.T) { if err := os.WriteFile(os.Getenv("TOLD"), []byte(os.Getenv("TRACEPARENT")), 0o644); err != nil { t.Fatal(err) } }
func TestFails(t *testing.T) { t.Error("so it is") }
func TestSkips(t *testing.T) { t.Skip("not here") }
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const trace, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	told := filepath.Join(t.TempDir(), "told")
	env := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + server.URL, "OTEL_EXPORTER_OTLP_HEADERS=x-tenant=a", "OTEL_SERVICE_NAME=tests of traced",
		"TRACEPARENT=00-" + trace + "-" + caller + "-01", "TOLD=" + told}
	_, e := runXdist(t, dir, env, "--tx", "popen", "--otel", "./...")
	if e.status != 1 || strings.Contains(e.stderr, "OpenTelemetry") {
		t.Errorf("status %d\n%s", e.status, e.stderr)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	run := c.spans["xdist"]
	if run == nil {
		t.Fatalf("spans %v", c.names)
	}
	if got, err := os.ReadFile(told); err != nil || string(got) != "00-"+trace+"-"+hex.EncodeToString(run.SpanId)+"-01" {
		t.Errorf("tests are told of %s, %v", got, err)
	}
	if hex.EncodeToString(run.ParentSpanId) != caller || run.Status.GetCode() != v1.Status_STATUS_CODE_ERROR {
		t.Errorf("the run is %v", run)
	}
	for name, above := range map[string]string{
		"connect gw0": "xdist", "example.com/traced": "xdist", "TestTold": "example.com/traced", "TestSkips": "example.com/traced", "TestFails": "example.com/traced",
	} {
		s := c.spans[name]
		if s == nil || hex.EncodeToString(s.TraceId) != trace || c.names[string(s.ParentSpanId)] != above {
			t.Errorf("%s: %v", name, s)
		} else if s.StartTimeUnixNano > s.EndTimeUnixNano || s.EndTimeUnixNano > run.EndTimeUnixNano || s.StartTimeUnixNano < run.StartTimeUnixNano {
			t.Errorf("%s is not within the run: %v, %v", name, s, run)
		}
	}
	if s := c.spans["TestFails"]; s == nil || s.Status.GetCode() != v1.Status_STATUS_CODE_ERROR || s.Status.Message != "so it is" || !strings.Contains(s.String(), "a_test.go") {
		t.Errorf("the failure is %v", s)
	}
	if s := c.spans["TestTold"]; s == nil || s.Status.GetCode() != v1.Status_STATUS_CODE_UNSET {
		t.Errorf("the pass is %v", s)
	}
	if !strings.Contains(strings.Join(c.about, " "), "service.name=tests of traced") {
		t.Errorf("it says of itself %v", c.about)
	}

	env[0] = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"
	_, e = runXdist(t, dir, env, "--tx", "popen", "--otel", "-run=Told", "./...")
	if e.status != 0 || strings.Count(e.stderr, "OpenTelemetry") != 1 {
		t.Errorf("without a collector: status %d\n%s", e.status, e.stderr)
	}
	e = command(t, dir, append(env, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"), xdist(t), "--tx", "popen", "--otel", "./...")
	if e.status != 2 || !strings.Contains(e.stderr, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: traces are sent by http/protobuf alone") {
		t.Errorf("by grpc: status %d\n%s", e.status, e.stderr)
	}
}
