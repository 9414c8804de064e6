package lake

import "time"

// Names of the tables; they are the values of "kind=" in the paths.
const (
	Decisions   = "decisions"
	Verdicts    = "verdicts"
	FeedbackOf  = "feedback"
	Deployments = "deployments"
)

// Tables are all tables.
var Tables = []string{Decisions, Verdicts, FeedbackOf, Deployments}

// Every column that exists stays, with its name and type. New ones are added at the end of a struct; files of earlier releases read as if it were empty there.
// Types are those that DuckDB, Spark and pandas read alike: ids are texts, since Spark refuses Parquet's UUID; times are in microseconds, since it refuses nanoseconds.

// Decision is a row of the table decisions: one decision and everything that was recorded of it.
type Decision struct {
	Project string `parquet:"-"` // the partition

	DecisionID string    `parquet:"decision_id"`      // UUIDv7 in lower case; files are sorted by it
	StreamSeq  int64     `parquet:"stream_seq,delta"` // place in the event stream
	Time       time.Time `parquet:"time,delta,timestamp(microsecond)"`
	TimeNanos  int32     `parquet:"time_nanos"` // what the microseconds leave off, 0 to 999
	Operation  string    `parquet:"operation,dict"`
	Deployment string    `parquet:"deployment,dict"`
	Outcome    string    `parquet:"outcome,dict"` // "automated" or "review"
	Reason     string    `parquet:"reason,dict"`  // such as "certified", "below_threshold"
	// Label is the first chosen label, "" when none was chosen; ChosenLabels are all.
	Label        string   `parquet:"label,dict"`
	ChosenLabels []string `parquet:"chosen_labels,list" parquet-element:",dict"`
	// Labels with their calibrated probabilities, most probable first: as many as the answer held, at most MaxLabels.
	Labels        []string  `parquet:"labels,list" parquet-element:",dict"`
	Probabilities []float32 `parquet:"probabilities,list" parquet-element:",split"`
	Action        int32     `parquet:"action"` // the action of a moderation decision, the priority of a routing decision: the enum's number

	Stage         string `parquet:"stage,dict"`
	Variant       string `parquet:"variant,dict"`
	ModelName     string `parquet:"model_name,dict"`
	ModelVersion  int32  `parquet:"model_version"`
	ModelDigest   string `parquet:"model_digest,dict"`
	PolicyDigest  string `parquet:"policy_digest,dict"`
	CertificateID string `parquet:"certificate_id,dict"`
	Uncertified   bool   `parquet:"uncertified"`

	AuditSelected    bool    `parquet:"audit_selected"`
	AuditProbability float64 `parquet:"audit_probability,dict"` // weight by its inverse

	LatencyNanos      int64  `parquet:"latency_ns"`
	ComputeNanos      int64  `parquet:"compute_ns"`
	CostMicros        int64  `parquet:"cost_micros"` // millionths of the currency
	ComputeCostMicros int64  `parquet:"compute_cost_micros"`
	ReviewCostMicros  int64  `parquet:"review_cost_micros"`
	Currency          string `parquet:"currency,dict"`

	InputRetention string   `parquet:"input_retention,dict"` // "full", "redacted" or "absent"
	InputSHA256    []byte   `parquet:"input_sha256"`         // of the normalised input
	Text           string   `parquet:"text"`
	Title          string   `parquet:"title"`
	Fields         string   `parquet:"fields"` // a JSON object of numbers, strings and booleans; "" without fields
	Locale         string   `parquet:"locale,dict"`
	Channel        string   `parquet:"channel,dict"`
	RuleIDs        []string `parquet:"rule_ids,list" parquet-element:",dict"`

	Caller         string `parquet:"caller,dict"` // id of the API key
	RequestID      string `parquet:"request_id"`
	Traceparent    string `parquet:"traceparent"`
	IdempotencyKey string `parquet:"idempotency_key"`
	SubjectID      string `parquet:"subject_id"` // whose data it is
	ContentID      string `parquet:"content_id"` // the application's own id

	ErasedAt time.Time `parquet:"erased_at,optional,timestamp(microsecond)"` // when the personal data was erased
}

// Verdict is a row of the table verdicts: a person's answer to a review item.
type Verdict struct {
	Project string `parquet:"-"`

	VerdictID  string    `parquet:"verdict_id"`
	StreamSeq  int64     `parquet:"stream_seq,delta"`
	Time       time.Time `parquet:"time,delta,timestamp(microsecond)"` // when it was submitted
	DecisionID string    `parquet:"decision_id"`
	ItemID     string    `parquet:"item_id"`
	Operation  string    `parquet:"operation,dict"`
	Deployment string    `parquet:"deployment,dict"`

	Labels     []string `parquet:"labels,list" parquet-element:",dict"` // the answer
	Action     int32    `parquet:"action"`
	OutOfScope bool     `parquet:"out_of_scope"`
	NotSure    bool     `parquet:"not_sure"`
	ReasonCode string   `parquet:"reason_code,dict"`
	Note       string   `parquet:"note"`
	SpentNanos int64    `parquet:"spent_ns"` // the person's time

	Role      string `parquet:"role,dict"`
	Reviewer  string `parquet:"reviewer,dict"`
	KeyID     string `parquet:"key_id,dict"`
	Final     bool   `parquet:"final"` // its answer is the truth about the decision
	Blind     bool   `parquet:"blind"`
	Agrees    bool   `parquet:"agrees"`
	Overturns bool   `parquet:"overturns"`
	Round     int32  `parquet:"round"`
	Gold      bool   `parquet:"gold"` // measures the reviewer; not to learn from
	GoldRight bool   `parquet:"gold_right"`
	GroupID   string `parquet:"group_id"`

	Outcome          string    `parquet:"outcome,dict"` // of the decision
	AuditSelected    bool      `parquet:"audit_selected"`
	AuditProbability float64   `parquet:"audit_probability,dict"`
	DecideTime       time.Time `parquet:"decide_time,optional,timestamp(microsecond)"`
	ModelDigest      string    `parquet:"model_digest,dict"`
	InputSHA256      []byte    `parquet:"input_sha256"`
	SubjectID        string    `parquet:"subject_id"`

	ErasedAt time.Time `parquet:"erased_at,optional,timestamp(microsecond)"`

	// Where the item took part in a choice of what to label first: which choice, whether it was chosen, with which probability, and the smallest one that any item had.
	SelectionID          string  `parquet:"selection_id,dict"`
	SelectionChosen      bool    `parquet:"selection_chosen"`
	SelectionProbability float64 `parquet:"selection_probability"`
	SelectionLeast       float64 `parquet:"selection_least,dict"`
}

// Feedback is a row of the table feedback: the truth about a decision that the application learned later.
type Feedback struct {
	Project string `parquet:"-"`

	FeedbackID  string    `parquet:"feedback_id"` // the application's own
	StreamSeq   int64     `parquet:"stream_seq,delta"`
	Time        time.Time `parquet:"time,delta,timestamp(microsecond)"` // when it was submitted
	ObserveTime time.Time `parquet:"observe_time,optional,timestamp(microsecond)"`
	DecisionID  string    `parquet:"decision_id"`
	Operation   string    `parquet:"operation,dict"`
	Deployment  string    `parquet:"deployment,dict"`
	Labels      []string  `parquet:"labels,list" parquet-element:",dict"`
	Action      int32     `parquet:"action"`
	OutOfScope  bool      `parquet:"out_of_scope"`
	Source      string    `parquet:"source,dict"`
	Note        string    `parquet:"note"`
	KeyID       string    `parquet:"key_id,dict"`
	Agrees      bool      `parquet:"agrees"`
	SubjectID   string    `parquet:"subject_id"`

	ErasedAt time.Time `parquet:"erased_at,optional,timestamp(microsecond)"`
}

// Deployment is a row of the table deployments: one entry of the ledger of deployments, and what answered from it on.
type Deployment struct {
	Project string `parquet:"-"`

	EventID      string    `parquet:"event_id"`
	StreamSeq    int64     `parquet:"stream_seq,delta"`
	Time         time.Time `parquet:"time,delta,timestamp(microsecond)"`
	Operation    string    `parquet:"operation,dict"`
	Deployment   string    `parquet:"deployment,dict"`
	Revision     int64     `parquet:"revision"`
	ModelName    string    `parquet:"model_name,dict"`
	ModelVersion int32     `parquet:"model_version"`
	ModelDigest  string    `parquet:"model_digest,dict"`
	PolicyDigest string    `parquet:"policy_digest,dict"`
	Policy       string    `parquet:"policy,dict"` // JSON
	Certificates []string  `parquet:"certificates,list"`
	Statement    string    `parquet:"statement,dict"` // the promise in one sentence

	Sequence         int64  `parquet:"sequence"`  // counts the changes of the project, from 1, without gaps
	Kind             string `parquet:"kind,dict"` // "deploy", "policy", "rollback", "halt", "resume" or "alias"
	RevisionBefore   int64  `parquet:"revision_before"`
	RestoredRevision int64  `parquet:"restored_revision"` // of a rollback: the revision that answers again
	Actor            string `parquet:"actor,dict"`        // id of the API key, or "system"
	ReasonGiven      string `parquet:"reason_given"`      // why, where somebody said so
	StateSHA256      []byte `parquet:"state_sha256"`      // of the whole deployment, as the registry keeps it
	PreviousHash     []byte `parquet:"previous_hash"`     // of the entry before
	Hash             []byte `parquet:"hash"`
}

// MaxLabels is how many labels a row of decisions keeps. Those after are recomputed from input and model, bit for bit; their probabilities do not compress,
// and twenty of them would double the size of a row.
const MaxLabels = 8

// row is what the lake needs to know of any row.
type row[T any] interface {
	*T
	key() string // unique in the project's table; files are sorted by it
	place() int64
	when() time.Time
	project() *string
	subject() string
	erase(at time.Time)
}

func (d *Decision) key() string      { return d.DecisionID }
func (d *Decision) place() int64     { return d.StreamSeq }
func (d *Decision) when() time.Time  { return d.Time }
func (d *Decision) project() *string { return &d.Project }
func (d *Decision) subject() string  { return d.SubjectID }

// erase leaves what was decided and takes what it was decided about, with everything that leads to a person.
func (d *Decision) erase(at time.Time) {
	d.Text, d.Title, d.Fields, d.InputSHA256, d.InputRetention = "", "", "", nil, "absent"
	d.SubjectID, d.ContentID, d.IdempotencyKey, d.RequestID, d.Traceparent = "", "", "", "", ""
	d.ErasedAt = at
}

func (v *Verdict) key() string      { return v.VerdictID }
func (v *Verdict) place() int64     { return v.StreamSeq }
func (v *Verdict) when() time.Time  { return v.Time }
func (v *Verdict) project() *string { return &v.Project }
func (v *Verdict) subject() string  { return v.SubjectID }
func (v *Verdict) erase(at time.Time) {
	v.Note, v.InputSHA256, v.SubjectID, v.ErasedAt = "", nil, "", at
}

func (f *Feedback) key() string      { return f.FeedbackID }
func (f *Feedback) place() int64     { return f.StreamSeq }
func (f *Feedback) when() time.Time  { return f.Time }
func (f *Feedback) project() *string { return &f.Project }
func (f *Feedback) subject() string  { return f.SubjectID }
func (f *Feedback) erase(at time.Time) {
	f.Note, f.SubjectID, f.ErasedAt = "", "", at
}

func (d *Deployment) key() string      { return d.EventID }
func (d *Deployment) place() int64     { return d.StreamSeq }
func (d *Deployment) when() time.Time  { return d.Time }
func (d *Deployment) project() *string { return &d.Project }
func (d *Deployment) subject() string  { return "" }
func (d *Deployment) erase(time.Time)  {}
