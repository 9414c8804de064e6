package contract

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/mesh"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// opens says whether a method can be called through the door: services for gRPC alone have no REST binding.
func (d door) opens(m protoreflect.MethodDescriptor) bool {
	return d.name != "REST" || proto.HasExtension(m.Options(), annotations.E_Http)
}

// endless says whether a stream ends only when the caller leaves.
func endless(m protoreflect.MethodDescriptor) bool {
	return strings.HasPrefix(string(m.Name()), "Watch") || m.Name() == "Subscribe"
}

func TestNobodyGetsInWithoutTheRightKey(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	f := prepare(t, s.Dial(s.Key), s.Key)
	doors := []door{
		{"gRPC", GRPC{s.Dial("")}, f},
		{"REST", REST{Base: "http://" + s.Addresses.HTTP, Client: http.DefaultClient}, f},
	}
	calls := 0
	for _, m := range allMethods(t) {
		policy := mesh.PolicyOf(m)
		if policy == nil {
			t.Errorf("%s has no policy", m.FullName())
			continue
		}
		for _, d := range doors {
			if !d.opens(m) {
				continue
			}
			for key, reason := range map[string]string{"none": "KEY_MISSING", "wrong": "KEY_INVALID", "expired": "KEY_EXPIRED", "revoked": "KEY_REVOKED", "narrow": "SCOPE_MISSING"} {
				if key == "narrow" && (policy.GetAnyKey() || policy.GetScope() == "identity:read") {
					continue // the scope that this key holds
				}
				// Paths need a version and an operation that can be read; nothing else is looked at before the key.
				request := fill(m.Input(), map[string]any{"version": 1, "operation": "OPERATION_ROUTING", "model": "x", "deployment": "x", "keyId": "x", "ruleId": "x", "itemId": "x", "goldId": "x", "decisionId": "x", "webhookId": "x", "deliveryId": "x", "name": "x", "runId": "x"})
				answer := access(t, d, m, f.keys[key], request)
				calls++
				if answer.Error == nil || answer.Error.Reason != reason {
					t.Errorf("%s over %s with key %q: %+v, want %s", m.FullName(), d.name, key, answer.Error, reason)
				}
			}
		}
	}
	t.Logf("%d calls refused", calls)
}

func TestAnotherProjectSeesNothing(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	f := prepare(t, s.Dial(s.Key), s.Key)
	names := map[string]any{
		"deployment": "support", "model": "support", "version": 1, "operation": "OPERATION_ROUTING", "ruleId": firstRule(t, s, f),
		"keyId": f.vars["narrowId"], "itemId": f.vars["itemId"], "decisionId": f.vars["decisionId"], "goldId": f.vars["itemId"],
		"feedbackId": "x", "labels": []any{"spam"}, "leaseId": "x", "answer": map[string]any{"action": "ACTION_REMOVE"}, "itemIds": []any{f.vars["leasedId"]},
		"settings": map[string]any{}, "reviewer": "anna", "project": "default", "text": "x", "body": "eA==", "allProjects": true,
		"webhookId": f.vars["webhookId"], "deliveryId": "x", "spec": map[string]any{"url": "https://hooks.example.com/"}, "oldest": true,
		"record": map[string]any{"amount": map[string]any{"number": 1}},
		"jobId":  secretJob(t, s), "queue": "secret", "taskId": "support",
		"name": "support", "runId": secretRun(t, s),
	}
	doors := []door{
		{"gRPC", GRPC{s.Dial("")}, f},
		{"REST", REST{Base: "http://" + s.Addresses.HTTP, Client: http.DefaultClient}, f},
	}
	readable(t, doors[0], f)
	for _, m := range allMethods(t) {
		if m.Name() == "GetCaller" || strings.HasPrefix(string(m.Name()), "Create") || m.Name() == "RegisterVersion" || m.Name() == "SubmitBatch" || m.Name() == "PublishTask" || m.Name() == "ImportDataset" || m.Name() == "PutSchedule" {
			continue // these make or name only what is the caller's own
		}
		for _, d := range doors {
			if !d.opens(m) {
				continue
			}
			answer := access(t, d, m, f.keys["other"], fill(m.Input(), names))
			data, err := json.Marshal(answer.Messages)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"support", "narrow", "default", "spammy", "hardware"} {
				if strings.Contains(string(data), secret) {
					t.Errorf("%s over %s shows another project %q: %.200s", m.FullName(), d.name, secret, data)
				}
			}
			if e := answer.Error; e != nil && !strings.Contains(e.Reason, "NOT_FOUND") && e.Reason != "SCOPE_MISSING" && e.Reason != "INVALID_ARGUMENT" && e.Reason != "DEADLINE_EXCEEDED" {
				t.Errorf("%s over %s says %s (%s), which tells more than that it is not found", m.FullName(), d.name, e.Reason, e.Message)
			}
		}
	}
}

func allMethods(t *testing.T) []protoreflect.MethodDescriptor {
	t.Helper()
	var methods []protoreflect.MethodDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "switchyard.") {
			return true
		}
		for i := range file.Services().Len() {
			for j := range file.Services().Get(i).Methods().Len() {
				methods = append(methods, file.Services().Get(i).Methods().Get(j))
			}
		}
		return true
	})
	if len(methods) < 30 {
		t.Fatalf("only %d methods found", len(methods))
	}
	return methods
}

func access(t *testing.T, d door, m protoreflect.MethodDescriptor, key string, request map[string]any) *Answer {
	t.Helper()
	c := &Case{Name: string(m.FullName()), method: m, Request: request}
	if m.IsStreamingClient() {
		c.Request = []any{request}
	}
	ctx := t.Context()
	if endless(m) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
	}
	answer, err := d.door.Call(ctx, c, key)
	if err != nil {
		if ctx.Err() != nil {
			return &Answer{Error: &ErrorAnswer{Reason: commonv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED.String()[len("ERROR_REASON_"):]}}
		}
		t.Fatalf("%s over %s: %v", m.FullName(), d.name, err)
	}
	return answer
}

// fill makes a request whose fields name things of another project, as far as the message has such fields.
func fill(d protoreflect.MessageDescriptor, names map[string]any) map[string]any {
	out := map[string]any{}
	for i := range d.Fields().Len() {
		field := d.Fields().Get(i)
		name := field.JSONName()
		switch value, known := names[name]; {
		case known && name == "spec" && field.Message().Name() != "WebhookSpec": // other specifications have other fields
		case known:
			out[name] = value
		case name == "reason" && field.Kind() == protoreflect.StringKind:
			out[name] = "none"
		case field.IsMap() || field.ContainingOneof() != nil:
		case field.Kind() == protoreflect.MessageKind && strings.HasSuffix(string(field.Message().Name()), "Item"):
			item := any(fill(field.Message(), names))
			if field.IsList() {
				item = []any{item}
			}
			out[name] = item
		case name == "policy":
			out[name] = map[string]any{"maxError": 0.1}
		}
	}
	return out
}

func firstRule(t *testing.T, s *testkit.System, f fixture) string {
	t.Helper()
	var c Case
	c.Call, c.Request, c.Want = "switchyard.moderation.v1.ModerationService/ListRules", map[string]any{}, map[string]any{}
	if err := c.resolve(); err != nil {
		t.Fatal(err)
	}
	answer, err := GRPC{s.Dial("")}.Call(t.Context(), &c, f.keys["full"])
	if err != nil || answer.Error != nil {
		t.Fatalf("list rules: %v %+v", err, answer)
	}
	data, err := json.Marshal(answer.Messages[0])
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Rules []struct{ RuleID string } }
	if err := json.Unmarshal(data, &list); err != nil || len(list.Rules) == 0 {
		t.Fatalf("no rules: %v %s", err, data)
	}
	return list.Rules[0].RuleID
}

// readable proves that the decision which no other project sees is there for its own: else not seeing it would prove nothing.
func readable(t *testing.T, d door, f fixture) {
	t.Helper()
	c := &Case{Call: "switchyard.decisions.v1.DecisionService/GetDecision", Request: map[string]any{"decisionId": f.vars["decisionId"]}, Want: map[string]any{}}
	if err := c.resolve(); err != nil {
		t.Fatal(err)
	}
	answer, err := d.door.Call(t.Context(), c, f.keys["full"])
	if err != nil || answer.Error != nil {
		t.Fatalf("the project cannot read its own decision: %v %+v", err, answer)
	}
}

// secretJob submits a paused job, and publishes a task to the queue "secret".
func secretJob(t *testing.T, s *testkit.System) string {
	t.Helper()
	conn := s.Dial(s.Key)
	stream, err := jobsv1.NewJobServiceClient(conn).SubmitBatch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	spec := &jobsv1.JobSpec{JobId: "theirs", Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support", Paused: true}
	_ = stream.Send(&jobsv1.SubmitBatchRequest{Part: &jobsv1.SubmitBatchRequest_Spec{Spec: spec}})
	_ = stream.Send(&jobsv1.SubmitBatchRequest{Part: &jobsv1.SubmitBatchRequest_Lines{Lines: []byte(`{"body":"hardware"}`)}})
	r, err := stream.CloseAndRecv()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jobsv1.NewTaskServiceClient(conn).PublishTask(t.Context(), &jobsv1.PublishTaskRequest{Queue: "secret", TaskId: "support"}); err != nil {
		t.Fatal(err)
	}
	return r.GetJob().GetJobId()
}

// secretRun imports a data set and starts a run on it, which waits for nobody.
func secretRun(t *testing.T, s *testkit.System) string {
	t.Helper()
	conn := s.Dial(s.Key)
	imported(t, conn, &trainingv1.ImportSpec{
		Name: "support", Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support", File: "hardware.jsonl",
	}, `{"text":"screen","label":"hardware"}`)
	r, err := trainingv1.NewRunServiceClient(conn).StartRun(t.Context(), &trainingv1.StartRunRequest{Spec: &trainingv1.RunSpec{
		Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support",
		Data: &trainingv1.RunSpec_Dataset{Dataset: &trainingv1.DatasetRef{Name: "support"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetRun().GetRunId()
}

// imported makes a data set of lines.
func imported(t *testing.T, conn grpc.ClientConnInterface, spec *trainingv1.ImportSpec, lines ...string) {
	t.Helper()
	stream, err := trainingv1.NewDatasetServiceClient(conn).ImportDataset(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&trainingv1.ImportDatasetRequest{Part: &trainingv1.ImportDatasetRequest_Spec{Spec: spec}}) // CloseAndRecv has the reason
	_ = stream.Send(&trainingv1.ImportDatasetRequest{Part: &trainingv1.ImportDatasetRequest_Chunk{Chunk: []byte(strings.Join(lines, "\n") + "\n")}})
	if _, err := stream.CloseAndRecv(); err != nil {
		t.Fatalf("import %s: %v", spec.GetName(), err)
	}
}
