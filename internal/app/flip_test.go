package app_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	eventsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// flips is how many bits are flipped; the figure of the ledger is for 1,000.
func flips(t *testing.T) int {
	t.Helper()
	if text := os.Getenv("SWITCHYARD_FLIPS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if testing.Short() {
		return 10
	}
	return 40
}

// TestEveryFlippedBitIsNamedAndNeverServed flips one bit at a time in a copy of a stopped data folder, verifies the copy, and reads everything back through the public API of a
// product that is started on it. No answer may differ from the right one without being an error, and no flip may pass the verification, unless nothing that can be read differs:
// such flips are counted and shown.
func TestEveryFlippedBitIsNamedAndNeverServed(t *testing.T) {
	t.Parallel()
	c := lived(t)
	key, err := os.ReadFile(c.DevKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	first, err := served(t, copyOf(t, c), strings.TrimSpace(string(key)))
	if err != nil {
		t.Fatal(err)
	}
	want, err := served(t, copyOf(t, c), strings.TrimSpace(string(key)))
	if err != nil || !maps.Equal(first, want) {
		t.Fatalf("what is read twice differs: %v\n%s", err, firstDifference(first, want))
	}
	parts := partsOf(t, c.DataDir)
	random := rand.New(rand.NewPCG(20, 26))
	names := slices.Sorted(maps.Keys(parts))
	if only := os.Getenv("SWITCHYARD_FLIP_PART"); only != "" {
		names = []string{only}
	}
	tally := map[string]map[string]int{}
	for i := range flips(t) {
		part := names[i%len(names)]
		broken := copyOf(t, c)
		file, bit := flipped(t, broken.DataDir, parts[part], random)
		where := fmt.Sprintf("flip %d: bit %d of byte %d of %s", i, bit%8, bit/8, file)
		named, problems := verification(t, broken)
		got, startErr := served(t, broken, strings.TrimSpace(string(key)))
		result := "named"
		switch {
		case !named && startErr == nil && maps.Equal(got, want):
			result = "harmless"
			t.Logf("%s: nothing that is read differs", where)
		case !named:
			t.Errorf("%s: the verification says nothing, and a start %v; %s", where, startErr, firstDifference(want, got))
			result = "silent"
		}
		for name, answer := range got {
			if right, known := want[name]; strings.HasPrefix(name, "one ") && known && answer != right && !strings.HasPrefix(answer, "error: ") {
				t.Errorf("%s: wrong bytes were served for %s:\n%s\nverification: %v", where, name, cmp.Diff(right, answer), problems)
			}
		}
		if tally[part] == nil {
			tally[part] = map[string]int{}
		}
		tally[part][result]++
		_ = os.RemoveAll(broken.DataDir)
	}
	for _, part := range names {
		t.Logf("%-10s %v", part, tally[part])
	}
}

// TestEveryFlippedBitOfADeadProductsLogIsNamed does the same to the write-ahead log of the database that a product leaves when it is killed: its last transactions are nowhere else.
func TestEveryFlippedBitOfADeadProductsLogIsNamed(t *testing.T) {
	t.Parallel()
	var c app.Config
	s := testkit.Start(t, func(config *app.Config) { config.Lake.Flush = 100 * time.Millisecond; c = *config })
	conn := s.Dial(s.Key)
	testkit.Deploy(t, conn, "support", testkit.Support, true)
	routed(t, conn, 40)
	judged(t, conn)
	c.DB = db.Default("")
	c.Fill()
	if _, err := os.Stat(c.DB.Path + "-wal"); err != nil {
		t.Skip("the tables are not in the folder")
	}
	dead := copyOf(t, c) // as it lies on the disk while the product lives: nobody has closed the database
	s.Stop()
	log, err := os.ReadFile(dead.DB.Path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	// The copy took the index before the log: what the product has committed in between is behind what the index says.
	index, err := os.ReadFile(dead.DB.Path + "-shm")
	if err != nil {
		t.Fatal(err)
	}
	used := 32 + int(binary.NativeEndian.Uint32(index[16:]))*(24+4096)
	if used == 32 || used > len(log) {
		t.Fatalf("%d bytes of the log are used, of %d", used, len(log))
	}
	if problems := problemsOf(t, copyOf(t, dead)); problems != "" {
		t.Logf("before any flip: %s", problems) // a copy of a living folder is not of one moment
	}
	random := rand.New(rand.NewPCG(20, 27))
	for i := range flips(t) {
		broken := copyOf(t, dead)
		bit := random.IntN(8 * used)
		changed := bytes.Clone(log)
		changed[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(broken.DB.Path+"-wal", changed, 0o600); err != nil {
			t.Fatal(err)
		}
		where := fmt.Sprintf("flip %d: bit %d of byte %d of the log, of which %d are used", i, bit%8, bit/8, used)
		_, problems := verification(t, broken)
		if !strings.Contains(fmt.Sprint(problems), "write-ahead log switchyard.db-wal: ") {
			t.Errorf("%s: the verification says %v", where, problems)
		}
		if _, err := served(t, broken, ""); !errors.Is(err, db.ErrDamaged) {
			t.Errorf("%s: the product starts: %v", where, err)
		}
		_ = os.RemoveAll(broken.DataDir)
	}
}

// partsOf are the files of the parts of a data folder.
func partsOf(t *testing.T, dir string) map[string][]string {
	t.Helper()
	parts := map[string][]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Size() == 0 {
			return err
		}
		name, err := filepath.Rel(dir, path)
		part, _, nested := strings.Cut(filepath.ToSlash(name), "/")
		if !nested {
			part = "database"
			if !strings.HasPrefix(name, "switchyard.db") {
				return err // the key of the console's sessions, and the outcome of verifications
			}
		}
		parts[part] = append(parts[part], name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"artifacts", "database", "events", "journal", "lake"} {
		if len(parts[part]) == 0 {
			t.Fatalf("the data folder has no files of the part %s", part)
		}
	}
	return parts
}

// flipped flips a random bit of a part, each byte of it as probable as any other.
func flipped(t *testing.T, dir string, files []string, random *rand.Rand) (name string, bit int64) {
	t.Helper()
	total, sizes := int64(0), make([]int64, len(files))
	for i, f := range files {
		info, err := os.Stat(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		sizes[i], total = info.Size(), total+info.Size()
	}
	bit = random.Int64N(8 * total)
	for i, f := range files {
		if bit >= 8*sizes[i] {
			bit -= 8 * sizes[i]
			continue
		}
		path := filepath.Join(dir, f)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		data[bit/8] ^= 1 << (bit % 8)
		if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, data, 0o600), os.Chtimes(path, info.ModTime(), info.ModTime())); err != nil {
			t.Fatal(err)
		}
		return f, bit
	}
	t.Fatal("no byte")
	return "", 0
}

// verification says whether a verification finds anything, or refuses to go on.
func verification(t *testing.T, c app.Config) (named bool, problems []error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := app.VerifyLedger(ctx, c)
	return err != nil || len(r.Problems) > 0, append(r.Problems, err)
}

// served starts the product on a folder and returns everything that its API answers.
func served(t *testing.T, c app.Config, key string) (answers map[string]string, err error) {
	t.Helper()
	c.GRPC.Address, c.HTTP, c.DevKeyFile, c.Verify.Every = "127.0.0.1:0", "", "", 0
	s, err := testkit.TryStart(t, c)
	if err != nil {
		return nil, err
	}
	defer func() { s.Abandon() }()
	conn := s.Dial(key)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	a := &reader{ctx: ctx, conn: conn, answers: map[string]string{}}
	a.readAll()
	return a.answers, nil
}

// reader keeps answers by what was asked. Those that begin with "one " are about one thing and must be right or an error; the others are lists.
type reader struct {
	ctx     context.Context //nolint:containedctx // lives inside one call
	conn    grpc.ClientConnInterface
	answers map[string]string
}

func (a *reader) keep(name string, m proto.Message, err error) {
	if err != nil {
		a.answers[name] = "error: " + err.Error()
		return
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		data = []byte(err.Error())
	}
	a.answers[name] = fmt.Sprintf("%x %s", data, protojson.Format(m))
}

func (a *reader) readAll() {
	models, decisions, reviews := modelsv1.NewModelServiceClient(a.conn), decisionsv1.NewDecisionServiceClient(a.conn), reviewv1.NewReviewServiceClient(a.conn)
	page := &commonv1.PageRequest{Size: 500}
	deployments, err := models.ListDeployments(a.ctx, &modelsv1.ListDeploymentsRequest{Page: page})
	a.keep("deployments", deployments, err)
	changes, err := models.ListDeploymentChanges(a.ctx, &modelsv1.ListDeploymentChangesRequest{Page: page})
	a.keep("changes", changes, err)
	for revision := range int64(3) {
		d, err := models.GetDeployment(a.ctx, &modelsv1.GetDeploymentRequest{Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support", Revision: revision + 1})
		a.keep(fmt.Sprint("one revision ", revision+1), d, err)
	}
	for version := range int32(2) {
		v, err := models.GetVersion(a.ctx, &modelsv1.GetVersionRequest{Model: "support", Version: version + 1})
		a.keep(fmt.Sprint("one version ", version+1), v, err)
	}
	keys, err := identityv1.NewIdentityServiceClient(a.conn).ListKeys(a.ctx, &identityv1.ListKeysRequest{Page: page})
	for _, k := range keys.GetKeys() {
		k.LastUsedTime = nil
	}
	a.keep("keys", keys, err)
	for _, id := range a.events() {
		d, err := decisions.GetDecision(a.ctx, &decisionsv1.GetDecisionRequest{DecisionId: id})
		a.keep("one decision "+id, d, err)
		r, err := decisions.ReplayDecision(a.ctx, &decisionsv1.ReplayDecisionRequest{DecisionId: id})
		a.keep("one replay "+id, r, err)
	}
	items, err := reviews.ListItems(a.ctx, &reviewv1.ListItemsRequest{Page: page})
	a.keep("items", items, err)
	for _, it := range items.GetItems() {
		one, err := reviews.GetItem(a.ctx, &reviewv1.GetItemRequest{ItemId: it.GetItemId()})
		a.keep("one item "+it.GetItemId(), one, err)
	}
}

// events reads the stream from its first event until none comes any more, and returns the ids of some decisions.
func (a *reader) events() (ids []string) {
	ctx, cancel := context.WithCancel(a.ctx)
	defer cancel()
	stream, err := eventsv1.NewEventServiceClient(a.conn).Subscribe(ctx, &eventsv1.SubscribeRequest{Oldest: true, Heartbeat: durationpb.New(time.Second)})
	for err == nil {
		var m *eventsv1.SubscribeResponse
		if m, err = stream.Recv(); err != nil || m.GetEvent() == nil {
			break // a heartbeat: everything was read
		}
		e := m.GetEvent()
		a.keep(fmt.Sprint("one event ", e.GetType(), " ", e.GetId()), e, nil)
		if e.GetType() == "switchyard.decision.made" && len(ids) < 10 {
			ids = append(ids, e.GetId())
		}
	}
	a.answers["events"] = fmt.Sprint(err)
	return ids
}

// firstDifference names the first answer that is not the same.
func firstDifference(want, got map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if want[name] != got[name] {
			return fmt.Sprintf("%s: %.600q instead of %.600q", name, got[name], want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			return fmt.Sprintf("%s: %.300q was not there", name, got[name])
		}
	}
	return "nothing that is read differs"
}
