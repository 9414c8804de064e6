package moderation

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// DB is where rules are kept; *db.DB is one.
type DB interface {
	Migrate(ctx context.Context, owner string, steps []string) error
	Tx(ctx context.Context, fn func(*db.Tx) error) error
	View(ctx context.Context, fn func(*db.Tx) error) error
	Follow(ctx context.Context, topic string, fn func(ctx context.Context, names []string) error) error
}

var _ DB = (*db.DB)(nil)

// steps are the migrations of the service's tables. Rule ids are UUIDv7, so that their order is the order of creation.
var steps = []string{
	`CREATE TABLE moderation_rules (
		project    TEXT   NOT NULL,
		rule_id    TEXT   NOT NULL,
		kind       BIGINT NOT NULL,
		pattern    TEXT   NOT NULL,
		category   TEXT   NOT NULL,
		deployment TEXT   NOT NULL,
		created    BIGINT NOT NULL,
		PRIMARY KEY (project, rule_id),
		UNIQUE (project, kind, pattern, deployment)
	)`,
	`CREATE TABLE moderation_rules_deleted (
		project    TEXT   NOT NULL,
		rule_id    TEXT   NOT NULL,
		kind       BIGINT NOT NULL,
		pattern    TEXT   NOT NULL,
		category   TEXT   NOT NULL,
		deployment TEXT   NOT NULL,
		created    BIGINT NOT NULL,
		deleted    BIGINT NOT NULL,
		PRIMARY KEY (project, rule_id)
	);
	CREATE INDEX moderation_rules_deleted_time ON moderation_rules_deleted (project, deleted)`,
}

// maxRules is how many rules a project may hold.
const maxRules = 10000

// topic is how the rules of a project are called among the changes that other processes hear of.
const topic = "moderation.rules"

const ruleColumns = `rule_id, kind, pattern, category, deployment, created`

// store keeps rules in SQL.
type store struct{ db DB }

func (s store) migrate(ctx context.Context) error { return s.db.Migrate(ctx, "moderation", steps) }

// all returns the rules of every project, oldest first.
func (s store) all(ctx context.Context) (map[string][]*moderationv1.Rule, error) {
	rules := map[string][]*moderationv1.Rule{}
	err := s.db.View(ctx, func(tx *db.Tx) error {
		return tx.Each(`SELECT project, `+ruleColumns+` FROM moderation_rules ORDER BY project, rule_id`, nil, func(scan func(...any) error) error {
			var project string
			r, err := scanRule(scan, &project)
			rules[project] = append(rules[project], r)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("load rules: %w", err)
	}
	return rules, nil
}

// of returns the rules of one project, oldest first.
func (s store) of(ctx context.Context, project string) (rules []*moderationv1.Rule, err error) {
	err = s.db.View(ctx, func(tx *db.Tx) error {
		return tx.Each(`SELECT `+ruleColumns+` FROM moderation_rules WHERE project = ? ORDER BY rule_id`, []any{project},
			func(scan func(...any) error) error {
				r, err := scanRule(scan)
				rules = append(rules, r)
				return err
			})
	})
	if err != nil {
		return nil, fmt.Errorf("load rules: %w", err)
	}
	return rules, nil
}

func scanRule(scan func(...any) error, first ...any) (*moderationv1.Rule, error) {
	r := &moderationv1.Rule{}
	var created int64
	err := scan(append(first, &r.RuleId, &r.Kind, &r.Pattern, &r.Category, &r.Deployment, &created)...)
	r.CreateTime = timestamppb.New(db.Time(created))
	return r, err
}

// add keeps a new rule, and returns false when it is there already under its id. It fails with ALREADY_EXISTS and QUOTA_EXCEEDED.
func (s store) add(ctx context.Context, project string, r *moderationv1.Rule) (added bool, err error) {
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		var same string
		exists, err := tx.Get(`SELECT rule_id FROM moderation_rules WHERE project = ? AND kind = ? AND pattern = ? AND deployment = ?`,
			[]any{project, int32(r.GetKind()), r.GetPattern(), r.GetDeployment()}, &same)
		if err != nil {
			return err
		}
		if exists && same == r.GetRuleId() {
			return nil
		}
		if exists {
			return fault.AlreadyExists("rule", same)
		}
		var n int64
		if _, err := tx.Get(`SELECT COUNT(*) FROM moderation_rules WHERE project = ?`, []any{project}, &n); err != nil {
			return err
		}
		if n >= maxRules {
			return fault.QuotaExceeded("rules", maxRules)
		}
		_, err = tx.Exec(`INSERT INTO moderation_rules (project, `+ruleColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			project, r.GetRuleId(), int32(r.GetKind()), r.GetPattern(), r.GetCategory(), r.GetDeployment(), db.Micros(r.GetCreateTime().AsTime()))
		if err != nil {
			return err
		}
		added = true
		return tx.Changed(topic, project)
	})
	return added, err
}

// maxDeleted is how many deleted rules of a project are kept, newest first, so that decisions can be repeated with the rules of their time.
const maxDeleted = 100_000

// remove deletes a rule and remembers it. It fails with NOT_FOUND.
func (s store) remove(ctx context.Context, project, id string, now time.Time) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO moderation_rules_deleted (project, `+ruleColumns+`, deleted)
			SELECT project, `+ruleColumns+`, `+strconv.FormatInt(db.Micros(now), 10)+` FROM moderation_rules WHERE project = ? AND rule_id = ?`, project, id)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`DELETE FROM moderation_rules_deleted WHERE project = ? AND deleted < (
			SELECT deleted FROM moderation_rules_deleted WHERE project = ? ORDER BY deleted DESC LIMIT 1 OFFSET `+strconv.Itoa(maxDeleted)+`)`, project, project)
		if err != nil {
			return err
		}
		n, err := tx.Exec(`DELETE FROM moderation_rules WHERE project = ? AND rule_id = ?`, project, id)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.NotFound("rule", id)
		}
		return tx.Changed(topic, project)
	})
}

// page returns at most size rules after the one with that id, oldest first, and whether there are more.
func (s store) page(ctx context.Context, project, after string, size int) (rules []*moderationv1.Rule, more bool, err error) {
	err = s.db.View(ctx, func(tx *db.Tx) error {
		return tx.Each(`SELECT `+ruleColumns+` FROM moderation_rules WHERE project = ? AND rule_id > ? ORDER BY rule_id LIMIT ?`,
			[]any{project, after, size + 1}, func(scan func(...any) error) error {
				r, err := scanRule(scan)
				rules = append(rules, r)
				return err
			})
	})
	if err == nil && len(rules) > size {
		rules, more = rules[:size], true
	}
	return rules, more, err
}
