package fault_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// every holds one fault of each constructor.
func every() []*fault.Error {
	const routing = commonv1.Operation_OPERATION_ROUTING
	return []*fault.Error{
		fault.InvalidField("text", "must be at most %d characters", 100000),
		fault.Malformed("unknown field %q (line 1, column 2)", "txet"),
		fault.RequestTooLarge(8388608),
		fault.UnsupportedMediaType("text/xml", "application/json"),
		fault.RouteNotFound("/v1/moderate"),
		fault.MethodNotAllowed("GET", "POST"),
		fault.KeyMissing(), fault.KeyInvalid(),
		fault.KeyExpired("k7Qm2xWd", time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)),
		fault.KeyRevoked("k7Qm2xWd"), fault.ScopeMissing("models:write"),
		fault.DeploymentNotFound(routing, "support"), fault.ModelNotDeployed(routing, "support"),
		fault.ModelNotFound("support"), fault.VersionNotFound("support", 7),
		fault.ArtifactInvalid(errors.New("checksum of section weights")),
		fault.InputMismatch("record.age", "must be a number"),
		fault.OperationMismatch(routing, commonv1.Operation_OPERATION_MODERATION),
		fault.NotFound("API key", "k7Qm2xWd"), fault.AlreadyExists("project", "acme"),
		fault.VersionConflict("deployment", "routing/support", 3, 2),
		fault.RateLimited("default", 2000, time.Second), fault.ConcurrencyLimited("default", 512, 512, time.Second),
		fault.QuotaExceeded("rules", 10000), fault.StorageFull(4294967296),
		fault.DeadlineExceeded(), fault.Cancelled(), fault.Unavailable("journal"), fault.ShuttingDown(),
		fault.Unimplemented("/switchyard.routing.v1.RoutingService/Foo"), fault.Internal(errors.New("secret")).With("requestId", "r"),
		fault.LeaseLost("task", "42"), fault.ItemClosed("0190c6f2-3f7e-7cc1-9a51-1c6a5d5b7a42"), fault.LabelUnknown("Hardwear", "Hardware"), fault.IdempotencyKeyReused("order-17"),
		fault.InputNotRecorded("0190c6f2-3f7e-7cc1-9a51-1c6a5d5b7a42", "redacted"), fault.RevisionNotFound(commonv1.Operation_OPERATION_ROUTING, "support", 9),
		fault.PromotionRefused("shadow", "version 7 of model support was compared on 31 decisions in shadow, 200 are needed").With("have", "31").With("need", "200"),
		fault.WorkersLost("train", 3),
	}
}

// TestReasonsKeepTheirContract compares codes, messages and metadata with the comments of the contract, which clients are generated from.
func TestReasonsKeepTheirContract(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../proto/switchyard/common/v1/error_reason.proto")
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string]string{}
	for _, m := range regexp.MustCompile(`(?s)((?:  //[^\n]*\n)+)  ERROR_REASON_(\w+) = \d+;`).FindAllStringSubmatch(string(source), -1) {
		blocks[m[2]] = m[1]
	}
	seen := map[string]bool{}
	for _, f := range every() {
		seen[f.ReasonName()] = true
		block := blocks[f.ReasonName()]
		code := regexp.MustCompile(`gRPC code (\w+)\.`).FindStringSubmatch(block)
		if code == nil || wireName(f.Code()) != code[1] {
			t.Errorf("%s has code %s, contract says %v", f.ReasonName(), wireName(f.Code()), code)
		}
		for _, key := range regexp.MustCompile(`"(\w+)": "`).FindAllStringSubmatch(metadataOf(block), -1) {
			if f.Metadata(key[1]) == "" {
				t.Errorf("%s lacks metadata %s", f.ReasonName(), key[1])
			}
		}
	}
	for name := range commonv1.ErrorReason_value {
		if name = strings.TrimPrefix(name, "ERROR_REASON_"); name != "UNSPECIFIED" && !seen[name] {
			t.Errorf("no constructor for %s", name)
		}
	}
}

func metadataOf(block string) string {
	_, md, _ := strings.Cut(block, `"metadata": {`)
	return md
}

func wireName(c codes.Code) string {
	if c == codes.Canceled {
		return "CANCELLED"
	}
	var b strings.Builder
	for i, r := range c.String() {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

func TestStatusHoldsDetailsAndNotTheCause(t *testing.T) {
	t.Parallel()
	f := fault.InvalidField("text", "is empty").Field("title", "is too long").Cause(errors.New("secret")).
		RetryAfter(3*time.Second).With("k", "v")
	s := f.Status()
	if strings.Contains(s.String(), "secret") {
		t.Errorf("status shows the cause: %v", s)
	}
	back := fault.FromStatus(s)
	if back.ReasonName() != "INVALID_ARGUMENT" || back.Message() != "text: is empty" || len(back.Violations()) != 2 ||
		back.Retry() != 3*time.Second || back.Metadata("k") != "v" || back.Code() != codes.InvalidArgument {
		t.Errorf("fault did not survive the wire: %+v", back)
	}
	quota := fault.QuotaExceeded("rules", 10).Status()
	found := false
	for _, d := range quota.Details() {
		_, ok := d.(*errdetails.QuotaFailure)
		found = found || ok
	}
	if !found {
		t.Error("QUOTA_EXCEEDED has no QuotaFailure")
	}
}

func TestFaultsAreNotChangedByTheirCopies(t *testing.T) {
	t.Parallel()
	f := fault.InvalidField("a", "b")
	_ = f.With("k", "v").Field("c", "d").Cause(errors.New("x")).RetryAfter(time.Second)
	if f.Metadata("k") != "" || len(f.Violations()) != 1 || f.Unwrap() != nil || f.Retry() != 0 {
		t.Errorf("a copy changed the original: %+v", f)
	}
}

func TestFromFindsWhatTheCallerMaySee(t *testing.T) {
	t.Parallel()
	foreign := status.New(codes.PermissionDenied, "row 17 of table secrets")
	for name, c := range map[string]struct {
		err    error
		reason string
	}{
		"plain":         {errors.New("secret"), "INTERNAL"},
		"wrapped fault": {fmt.Errorf("load: %w", fault.ModelNotFound("m")), "MODEL_NOT_FOUND"},
		"joined fault":  {errors.Join(errors.New("secret"), fault.ModelNotFound("m")), "MODEL_NOT_FOUND"},
		"deadline":      {fmt.Errorf("wait: %w", context.DeadlineExceeded), "DEADLINE_EXCEEDED"},
		"cancelled":     {context.Canceled, "CANCELLED"},
		"peer's fault":  {fmt.Errorf("ask: %w", fault.ScopeMissing("x:y").Status().Err()), "SCOPE_MISSING"},
		"peer is down":  {status.Error(codes.Unavailable, "connection refused: 10.0.0.7"), "DEPENDENCY_UNAVAILABLE"},
		"foreign":       {foreign.Err(), "INTERNAL"},
	} {
		f := fault.From(c.err)
		if f.ReasonName() != c.reason {
			t.Errorf("%s: reason %s, want %s", name, f.ReasonName(), c.reason)
		}
		for _, hidden := range []string{"secret", "10.0.0.7"} {
			if strings.Contains(f.Status().String(), hidden) {
				t.Errorf("%s: status shows %s", name, hidden)
			}
			if strings.Contains(c.err.Error(), hidden) && !strings.Contains(f.Error(), hidden) {
				t.Errorf("%s: log lacks %s", name, hidden)
			}
		}
	}
	if fault.From(nil) != nil || fault.Item(nil) != nil || fault.FromStatus(status.New(codes.OK, "")) != nil {
		t.Error("no error became a fault")
	}
	if !errors.Is(fmt.Errorf("x: %w", fault.KeyInvalid()), fault.KeyInvalid()) {
		t.Error("errors.Is does not compare reasons")
	}
}

func TestItemNamesTheField(t *testing.T) {
	t.Parallel()
	item := fault.Item(fault.InputMismatch("record.age", "must be a number"))
	if item.GetReason() != "INPUT_MISMATCH" || item.GetField() != "record.age" || item.GetCode() != int32(codes.InvalidArgument) {
		t.Errorf("item error is %v", item)
	}
}
