package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	shownChoices = 4   // the suggestion and three alternatives
	maxSimilar   = 100 // offered to be answered together
	maxSpent     = 12 * time.Hour
)

// queueRef is the queue of a page.
type queueRef struct {
	Operation  commonv1.Operation
	Deployment string
}

// Path is where items of the queue are worked on.
func (q queueRef) Path() string {
	return root + "/work/" + operationName(q.Operation) + "/" + url.PathEscape(q.Deployment)
}

func queueOf(r *http.Request) (queueRef, error) {
	q := queueRef{operationOf(r.PathValue("operation")), r.PathValue("deployment")}
	if q.Operation == commonv1.Operation_OPERATION_UNSPECIFIED {
		return q, fault.NotFound("queue", r.PathValue("operation")+"/"+q.Deployment)
	}
	return q, nil
}

// undoRef offers to take back the verdict before.
type undoRef struct {
	ItemID string
	Until  int64 // Unix seconds
	Left   int64 // seconds
	Many   int   // further verdicts of the same group
}

// undoOf reads the offer from the address; it is shown until it has run out, and taken up by the server only until then.
func (c *Console) undoOf(r *http.Request) *undoRef {
	q := r.URL.Query()
	end, err := strconv.ParseInt(q.Get("until"), 10, 64)
	left := end - c.now().Unix()
	if err != nil || left <= 0 || left > 3600 || q.Get("undo") == "" {
		return nil
	}
	many, _ := strconv.Atoi(q.Get("many"))
	return &undoRef{ItemID: q.Get("undo"), Until: end, Left: left, Many: many}
}

type waitingPage struct {
	Queue queueRef
	Undo  *undoRef
	Shift shift
}

// waiting is shown when nothing waits for this reviewer; its script looks again by itself.
func (c *Console) waiting(w http.ResponseWriter, r *http.Request, s *session) error {
	q, err := queueOf(r)
	if err != nil {
		return err
	}
	done, err := c.shift(r.Context(), s)
	if err != nil {
		return err
	}
	c.render(w, http.StatusOK, "waiting.html", frame{Title: "Nothing waits", Session: s, Page: waitingPage{Queue: q, Undo: c.undoOf(r), Shift: done}})
	return nil
}

// next leases the next item of the queue and goes to it.
func (c *Console) next(w http.ResponseWriter, r *http.Request, s *session) error {
	q, err := queueOf(r)
	if err != nil {
		return err
	}
	return c.goOn(w, r, s, q, nil)
}

// goOn leases the next item and leads to it, with params in its address.
func (c *Console) goOn(w http.ResponseWriter, r *http.Request, s *session, q queueRef, params url.Values) error {
	res, err := c.review.LeaseItems(r.Context(), &reviewv1.LeaseItemsRequest{Reviewer: s.Reviewer, Operation: q.Operation, Deployment: q.Deployment, MaxItems: 1})
	if err != nil {
		return err
	}
	target := q.Path()
	if items := res.GetItems(); len(items) > 0 {
		target += "/" + items[0].GetItemId()
	}
	if len(params) > 0 {
		target += "?" + params.Encode()
	}
	http.Redirect(w, r, target, http.StatusSeeOther) //nolint:gosec // begins with /console/work/
	return nil
}

// choice is one answer with its key.
type choice struct {
	Key, Value, Label string
	Percent           string
	Share             float64 // 0 to 100, for the bar
	Suggested         bool
}

type workPage struct {
	Queue     queueRef
	Item      *reviewv1.ReviewItem
	Fields    []field
	Choices   []choice
	Labels    []string // all that a verdict may name
	Moderates bool
	// AllowLabel and RemoveLabel go with the actions of moderation; empty where a person has to say.
	AllowLabel, RemoveLabel string
	Blur                    bool
	Similar                 []*reviewv1.SimilarItem
	Undo                    *undoRef
	Shift                   shift
	Open                    int64
	Shown                   int64 // Unix milliseconds
	LeaseLeft               int64 // seconds
	Marked                  marked
	Title                   marked
	Back                    string
}

// work shows one item. Taking an item that one has already prolongs the lease, so that loading the page again does no harm.
func (c *Console) work(w http.ResponseWriter, r *http.Request, s *session) error {
	q, err := queueOf(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	taken, err := c.review.LeaseItem(ctx, &reviewv1.LeaseItemRequest{ItemId: r.PathValue("id"), Reviewer: s.Reviewer})
	if err != nil {
		return err
	}
	item := taken.GetItem()
	queue, err := c.review.GetQueue(ctx, &reviewv1.GetQueueRequest{Operation: item.GetOperation(), Deployment: item.GetDeployment()})
	if err != nil {
		return err
	}
	done, err := c.shift(ctx, s)
	if err != nil {
		return err
	}
	page := workPage{
		Queue: q, Item: item, Fields: fieldsOf(item.GetInput()), Labels: queue.GetQueue().GetKnownLabels(), Moderates: item.GetOperation() == commonv1.Operation_OPERATION_MODERATION,
		Undo: c.undoOf(r), Shift: done, Open: queue.GetQueue().GetCounts().GetOpen(), Shown: c.now().UnixMilli(),
		LeaseLeft: max(1, int64(item.GetLease().GetExpireTime().AsTime().Sub(c.now()).Seconds())), Back: r.URL.Path,
	}
	page.Blur = s.Blur == "always" || s.Blur == "moderation" && page.Moderates
	page.Choices = choices(item, page.Labels)
	if page.Moderates {
		page.AllowLabel, page.RemoveLabel = c.sides(ctx, item)
	}
	terms := c.evidence(ctx, item)
	page.Marked, page.Title = mark(item.GetInput().GetText(), terms), mark(item.GetInput().GetTitle(), terms)
	// Copies of the item can be answered with it. The page works without.
	if similar, err := c.review.ListSimilarItems(ctx, &reviewv1.ListSimilarItemsRequest{ItemId: item.GetItemId(), MaxItems: maxSimilar}); err == nil {
		for _, i := range similar.GetItems() {
			if i.GetSameSuggestion() && i.GetItem().GetState() == reviewv1.ItemState_ITEM_STATE_OPEN {
				page.Similar = append(page.Similar, i)
			}
		}
	}
	c.render(w, http.StatusOK, "work.html", frame{Title: "Review " + item.GetDeployment(), Session: s, Page: page})
	return nil
}

// choices are the answers that one key gives: allow and remove for moderation, else the suggestion and what is most probable beside it.
func choices(item *reviewv1.ReviewItem, known []string) []choice {
	if item.GetOperation() == commonv1.Operation_OPERATION_MODERATION {
		return []choice{
			{Key: "1", Value: "allow", Label: "Allow", Suggested: item.GetSuggestedAction() == moderationv1.Action_ACTION_ALLOW},
			{Key: "2", Value: "remove", Label: "Remove", Suggested: item.GetSuggestedAction() == moderationv1.Action_ACTION_REMOVE},
		}
	}
	var out []choice
	add := func(label string, p float64, suggested bool) {
		if len(out) < shownChoices && !slices.ContainsFunc(out, func(c choice) bool { return c.Label == label }) {
			c := choice{Key: strconv.Itoa(len(out) + 1), Value: "label:" + label, Label: label, Suggested: suggested}
			if p >= 0 {
				c.Percent, c.Share = percent(p), 100*p
			}
			out = append(out, c)
		}
	}
	probability := func(label string) float64 {
		for _, l := range item.GetLabels() {
			if l.GetLabel() == label {
				return l.GetProbability()
			}
		}
		return -1
	}
	for _, label := range item.GetSuggestedLabels() {
		add(label, probability(label), true)
	}
	for _, l := range item.GetLabels() {
		add(l.GetLabel(), l.GetProbability(), false)
	}
	for _, label := range known {
		add(label, -1, false)
	}
	return out
}

// verdict answers the item, and its copies where the reviewer said so, and goes on to the next one.
func (c *Console) verdict(w http.ResponseWriter, r *http.Request, s *session) error {
	if err := r.ParseForm(); err != nil {
		return fault.InvalidField("form", "has more than %d bytes, or cannot be read", maxForm)
	}
	answer, err := c.answerOf(r)
	if err != nil {
		return err
	}
	id, lease := r.PathValue("id"), r.PostFormValue("lease")
	q := queueRef{operationOf(r.PostFormValue("operation")), r.PostFormValue("deployment")}
	params := url.Values{"undo": {id}}
	if others := r.PostForm["similar"]; len(others) > 0 && r.PostFormValue("together") == "yes" {
		res, err := c.review.SubmitVerdicts(r.Context(), &reviewv1.SubmitVerdictsRequest{ItemId: id, Reviewer: s.Reviewer, LeaseId: lease, Answer: answer, ItemIds: others})
		if err != nil {
			return err
		}
		answered := 0
		for _, g := range res.GetResults() {
			if g.GetError() == nil {
				answered++
			}
		}
		params.Set("many", strconv.Itoa(answered-1))
		if res.GetUndoUntil() != nil {
			params.Set("until", strconv.FormatInt(res.GetUndoUntil().GetSeconds(), 10))
		}
		return c.goOn(w, r, s, q, params)
	}
	res, err := c.review.SubmitVerdict(r.Context(), &reviewv1.SubmitVerdictRequest{ItemId: id, Reviewer: s.Reviewer, LeaseId: lease, Answer: answer})
	if err != nil {
		return err
	}
	if res.GetUndoUntil() != nil {
		params.Set("until", strconv.FormatInt(res.GetUndoUntil().GetSeconds(), 10))
	}
	return c.goOn(w, r, s, q, params)
}

// answerOf reads an answer from the form.
func (c *Console) answerOf(r *http.Request) (*reviewv1.Answer, error) {
	a := &reviewv1.Answer{Note: strings.TrimSpace(r.PostFormValue("note")), Reason: strings.TrimSpace(r.PostFormValue("reason"))}
	if shown, err := strconv.ParseInt(r.PostFormValue("shown"), 10, 64); err == nil {
		a.TimeSpent = durationpb.New(min(maxSpent, max(0, c.now().Sub(time.UnixMilli(shown)))))
	}
	label := strings.TrimSpace(r.PostFormValue("label"))
	kind, value, _ := strings.Cut(r.PostFormValue("choice"), ":")
	switch kind {
	case "allow":
		a.Action = moderationv1.Action_ACTION_ALLOW
	case "remove":
		a.Action = moderationv1.Action_ACTION_REMOVE
	case "label":
		a.Labels = []string{value}
	case "pick":
		if label == "" {
			return nil, fault.InvalidField("label", "choose one of the labels")
		}
		a.Labels = []string{label}
	case "none":
		a.OutOfScope = true
	case "unsure":
		a.NotSure = true
	default:
		return nil, fault.InvalidField("choice", "choose an answer")
	}
	if a.GetAction() != moderationv1.Action_ACTION_UNSPECIFIED {
		if label == "" {
			label = r.PostFormValue(kind + "_label")
		}
		if label != "" {
			a.Labels = []string{label}
		}
	}
	return a, nil
}

// sides returns the label that goes with each action, where the version that decided leaves no doubt: its only harmless label with ALLOW, its only other one with REMOVE. Else
// none: a guess must not become training data.
func (c *Console) sides(ctx context.Context, item *reviewv1.ReviewItem) (allow, remove string) {
	if item.GetModel() == "" || c.models == nil {
		return "", ""
	}
	v, err := c.models.GetVersion(ctx, &modelsv1.GetVersionRequest{Model: item.GetModel(), Version: item.GetModelVersion()})
	if err != nil {
		return "", ""
	}
	harmless := v.GetVersion().GetHarmlessLabels()
	var harmful []string
	for _, label := range v.GetVersion().GetLabels() {
		if !slices.Contains(harmless, label) {
			harmful = append(harmful, label)
		}
	}
	if len(harmless) == 1 {
		allow = harmless[0]
	}
	if len(harmful) == 1 {
		remove = harmful[0]
	}
	return allow, remove
}

// undo takes the last verdict back and returns to its item. What was leased meanwhile goes back to the queue.
func (c *Console) undo(w http.ResponseWriter, r *http.Request, s *session) error {
	if current, lease := r.PostFormValue("current"), r.PostFormValue("lease"); current != "" && lease != "" {
		// It would wait for the end of its lease otherwise; that it is gone already does not matter.
		_, _ = c.review.ReleaseItem(r.Context(), &reviewv1.ReleaseItemRequest{ItemId: current, Reviewer: s.Reviewer, LeaseId: lease})
	}
	res, err := c.review.UndoVerdict(r.Context(), &reviewv1.UndoVerdictRequest{ItemId: r.PathValue("id"), Reviewer: s.Reviewer})
	if err != nil {
		if asFault(err).ReasonName() == "ITEM_CLOSED" {
			return fault.InvalidField("undo", "is no longer possible: the verdict counts already. Open the decision and have it reopened instead")
		}
		return err
	}
	item := res.GetItem()
	http.Redirect(w, r, queueRef{item.GetOperation(), item.GetDeployment()}.Path()+"/"+item.GetItemId(), http.StatusSeeOther)
	return nil
}

// release gives the item back without an answer and goes to the queues: the next one would be the same.
func (c *Console) release(w http.ResponseWriter, r *http.Request, s *session) error {
	if _, err := c.review.ReleaseItem(r.Context(), &reviewv1.ReleaseItemRequest{ItemId: r.PathValue("id"), Reviewer: s.Reviewer, LeaseId: r.PostFormValue("lease")}); err != nil {
		return err
	}
	http.Redirect(w, r, root+"/queues", http.StatusSeeOther)
	return nil
}

// extend is called by the script while somebody looks at the item.
func (c *Console) extend(w http.ResponseWriter, r *http.Request, s *session) error {
	res, err := c.review.ExtendLease(r.Context(), &reviewv1.ExtendLeaseRequest{ItemId: r.PathValue("id"), Reviewer: s.Reviewer, LeaseId: r.PostFormValue("lease")})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write([]byte(`{"left":` + strconv.FormatInt(max(1, int64(res.GetExpireTime().AsTime().Sub(c.now()).Seconds())), 10) + `}`))
	return err
}
