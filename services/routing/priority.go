package routing

import (
	"strings"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
)

// The priority is a fixed rule, not a model: nobody has labelled priorities, and a rule can be explained to the person who waits.
// It adds up points:
//
//	+4  a word for an emergency or an outage ("emergency", "Notfall", "panne générale") in subject or body
//	+2  a word for urgency ("urgent", "asap", "dringend", "immédiatement")
//	+1  a word for pressure ("deadline", "blocked", "escalate"), or three exclamation marks
//	−2  urgency denied ("not urgent", "nicht dringend", "no rush", "keine Eile")
//	+1  the customer waits on the line (channel phone, call, voice or chat)
//	+2  attribute vip is true
//	+2  attribute tier is enterprise, platinum, gold, premium or vip; +1 silver, business, pro or professional; −1 free, trial or basic
//
// Of the words only the strongest counts, so that shouting does not help. At most −1 is LOW, 0 and 1 are NORMAL, 2 and 3 are HIGH, from 4 on URGENT.
const (
	pointsEmergency = 4
	pointsUrgent    = 2
	pointsPressure  = 1
	pointsDenied    = -2
	pointsLive      = 1
	pointsVIP       = 2
	shouting        = 3
)

// urgency says what a word means for the priority.
type urgency uint8

const (
	calm urgency = iota
	pressure
	urgent
	emergency
	denial   // turns the next urgent word into its opposite
	noHurry  // denies urgency by itself or after a denial: "rush", "Eile"
	filler   // may stand between a denial and its word: "so", "very"
	denyBack // denies the word before it: Turkish "acil değil"
)

// urgencyCount adds up what the words of an inquiry say.
type urgencyCount struct {
	strongest  int
	denied     bool
	exclaims   int
	afterDeny  bool // the last word denies
	afterWord  int  // points of the last word, for a denial that follows it
	beforeWord int  // strongest before the last word
}

func (u *urgencyCount) word(w urgency) {
	switch w {
	case calm:
	case denial:
		u.afterDeny, u.afterWord = true, 0
		return
	case filler:
		return
	case denyBack:
		if u.afterWord > 0 {
			u.strongest, u.denied = u.beforeWord, true
		}
	case noHurry:
		if u.afterDeny {
			u.denied = true
		}
	case pressure, urgent, emergency:
		points := [...]int{pressure: pointsPressure, urgent: pointsUrgent, emergency: pointsEmergency}[w]
		if u.afterDeny {
			u.denied = true
			break
		}
		u.beforeWord, u.afterWord = u.strongest, points
		u.strongest = max(u.strongest, points)
		return
	}
	u.afterDeny, u.afterWord = false, 0
}

func (u *urgencyCount) punctuation(c byte) {
	switch c {
	case '!':
		u.exclaims++
	case '.', '?', ';', '\n':
		u.end()
	}
}

// end marks the end of a sentence: a denial does not reach across it.
func (u *urgencyCount) end() { u.afterDeny, u.afterWord = false, 0 }

func (u *urgencyCount) points() int {
	switch {
	case u.strongest == 0 && u.denied:
		return pointsDenied
	case u.strongest == 0 && u.exclaims >= shouting:
		return pointsPressure
	}
	return u.strongest
}

// priority applies the rule to what was read and to what the caller says about channel and customer.
func priority(u urgencyCount, channel string, attributes map[string]*commonv1.FieldValue) routingv1.Priority {
	points := u.points() + channelPoints(channel)
	if len(attributes) > 0 {
		points += vipPoints(attributes["vip"]) + tierPoints(attributes["tier"])
	}
	switch {
	case points < 0:
		return routingv1.Priority_PRIORITY_LOW
	case points <= 1:
		return routingv1.Priority_PRIORITY_NORMAL
	case points <= 3:
		return routingv1.Priority_PRIORITY_HIGH
	}
	return routingv1.Priority_PRIORITY_URGENT
}

func channelPoints(channel string) int {
	for _, live := range [...]string{"phone", "call", "voice", "chat"} {
		if strings.EqualFold(channel, live) {
			return pointsLive
		}
	}
	return 0
}

func vipPoints(v *commonv1.FieldValue) int {
	text := v.GetText()
	if v.GetBoolean() || v.GetNumber() > 0 || strings.EqualFold(text, "true") || strings.EqualFold(text, "yes") {
		return pointsVIP
	}
	return 0
}

func tierPoints(v *commonv1.FieldValue) int {
	switch strings.ToLower(v.GetText()) {
	case "enterprise", "platinum", "gold", "premium", "vip":
		return 2
	case "silver", "business", "pro", "professional":
		return 1
	case "free", "trial", "basic":
		return -1
	}
	return 0
}
