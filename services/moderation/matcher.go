package moderation

import (
	"slices"
	"sync"

	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
)

// ProfanityRule is the rule id of matches of the built-in list, and their category.
const ProfanityRule = "profanity"

// maxMatches is how many matches an answer holds.
const maxMatches = 100

// maxFound bounds the matches that one text is searched for: a long text that is nothing but matches must not fill the memory.
const maxFound = 10000

// recentRules is how many rules may be added before everything is compiled anew. Creating 10,000 rules one by one would otherwise compile
// 50 million patterns.
const recentRules = 256

// matcher holds the rules of one project. It never changes: a new rule makes a new matcher, which replaces it at once for all calls.
type matcher struct {
	rules  []*moderationv1.Rule
	base   *trie // rules[:based]
	recent *trie // the rest
	based  int
}

var noRules = newMatcher(nil)

// newMatcher compiles rules, which must not change any more.
func newMatcher(rules []*moderationv1.Rule) *matcher {
	m := &matcher{rules: rules, based: len(rules), recent: newTrie(nil)}
	m.base = compile(rules, 0)
	return m
}

func compile(rules []*moderationv1.Rule, from int) *trie {
	patterns := make([]pattern, 0, len(rules)-from)
	for i := from; i < len(rules); i++ {
		if p, ok := newPattern(rules[i].GetPattern(), i); ok {
			patterns = append(patterns, p)
		}
	}
	return newTrie(patterns)
}

// with returns a matcher with one more rule.
func (m *matcher) with(r *moderationv1.Rule) *matcher {
	rules := append(slices.Clip(m.rules), r)
	if len(rules)-m.based > recentRules {
		return newMatcher(rules)
	}
	return &matcher{rules: rules, base: m.base, based: m.based, recent: compile(rules, m.based)}
}

// without returns a matcher without the rule of that id.
func (m *matcher) without(id string) *matcher {
	i := slices.IndexFunc(m.rules, func(r *moderationv1.Rule) bool { return r.GetRuleId() == id })
	if i < 0 {
		return m
	}
	return newMatcher(slices.Concat(m.rules[:i], m.rules[i+1:]))
}

// match is a place where a rule matched.
type match struct {
	rule       *moderationv1.Rule // nil for the profanity list
	start, end int32              // bytes of the text
	title      bool
}

func (m *match) kind(profanity moderationv1.RuleKind) moderationv1.RuleKind {
	if m.rule == nil {
		return profanity
	}
	return m.rule.GetKind()
}

// itemBuffers holds *[]item.
var itemBuffers = sync.Pool{New: func() any { return new([]item) }}

// find looks for rules of the deployment, and for profanities when asked, in title and text.
func (m *matcher) find(title, text, deployment string, profanities bool) []match {
	var all []match
	if title != "" {
		all = m.findIn(all, title, true, deployment, profanities)
	}
	return m.findIn(all, text, false, deployment, profanities)
}

func (m *matcher) findIn(all []match, text string, title bool, deployment string, profanities bool) []match {
	if len(m.rules) == 0 && !profanities {
		return all
	}
	buf := itemBuffers.Get().(*[]item)
	items := scan(text, *buf)
	from := len(all)
	add := func(rule *moderationv1.Rule, start, end int) {
		if len(all)-from < maxFound {
			all = append(all, match{rule: rule, start: items[start].start, end: items[end-1].end, title: title})
		}
	}
	if len(m.rules) > 0 {
		for i := range items {
			if !startsWord(items, i) {
				continue
			}
			found := func(p *pattern, end int) {
				if r := m.rules[p.index]; r.GetDeployment() == "" || r.GetDeployment() == deployment {
					add(r, i, end)
				}
			}
			m.base.walk(items, i, found)
			m.recent.walk(items, i, found)
		}
	}
	if profanities {
		builtin().find(items, func(start, end int) { add(nil, start, end) })
	}
	*buf = items
	itemBuffers.Put(buf)
	return append(all[:from], settle(all[from:])...)
}

// settle orders matches, drops those that an ALLOW rule covers, and of profanities at one place keeps the longest.
func settle(ms []match) []match {
	if len(ms) < 2 {
		return ms
	}
	slices.SortStableFunc(ms, func(a, b match) int {
		if a.start != b.start {
			return int(a.start - b.start)
		}
		if a.end != b.end {
			return int(b.end - a.end)
		}
		return allowFirst(a) - allowFirst(b)
	})
	kept := ms[:0]
	var allowedTo, profaneTo int32 = -1, -1 // everything that begins before ends before these is covered
	for _, m := range ms {
		if m.rule.GetKind() == moderationv1.RuleKind_RULE_KIND_ALLOW {
			allowedTo = max(allowedTo, m.end)
			kept = append(kept, m)
			continue
		}
		if m.end <= allowedTo {
			continue
		}
		if m.rule == nil {
			if m.end <= profaneTo {
				continue
			}
			profaneTo = m.end
		}
		kept = append(kept, m)
	}
	return kept
}

func allowFirst(m match) int {
	if m.rule.GetKind() == moderationv1.RuleKind_RULE_KIND_ALLOW {
		return 0
	}
	return 1
}
