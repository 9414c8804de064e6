package console

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc/metadata"

	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
)

const maxReviewer = 100

// signInForm is what the page shows.
type signInForm struct {
	Back, Reviewer, Problem string
}

func (c *Console) toSignIn(w http.ResponseWriter, r *http.Request, back, reason string) {
	q := url.Values{}
	if inside(back) {
		q.Set("back", back)
	}
	if reason != "" {
		q.Set("why", reason)
	}
	target := root + "/sign-in"
	if len(q) > 0 {
		target += "?" + q.Encode()
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

func (c *Console) signInPage(w http.ResponseWriter, r *http.Request) {
	form := signInForm{Back: r.URL.Query().Get("back")}
	if why := r.URL.Query().Get("why"); why != "" {
		form.Problem = keyProblem(why, "")
	}
	c.render(w, http.StatusOK, "sign-in.html", frame{Title: "Sign in", Page: form})
}

// signIn asks whose key it is. It must open at least one page.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	form := signInForm{Back: r.PostFormValue("back"), Reviewer: strings.TrimSpace(r.PostFormValue("reviewer"))}
	key := strings.TrimSpace(r.PostFormValue("key"))
	refuse := func(code int, problem string) {
		form.Problem = problem
		c.render(w, code, "sign-in.html", frame{Title: "Sign in", Page: form})
	}
	if !validReviewer(form.Reviewer) {
		refuse(http.StatusBadRequest, "Enter your name or e-mail address: 1 to 100 characters, without a colon.")
		return
	}
	if key == "" || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
		refuse(http.StatusBadRequest, "Enter the API key that you were given. It begins with syk_.")
		return
	}
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(r.Context(), "authorization", "Bearer "+key), callTimeout)
	defer cancel()
	caller, err := c.identity.GetCaller(ctx, &identityv1.GetCallerRequest{})
	if err != nil {
		f := asFault(err)
		refuse(http.StatusForbidden, keyProblem(f.ReasonName(), f.Metadata("scope")))
		return
	}
	s := &session{Key: key, Reviewer: form.Reviewer, Since: c.now().Unix(), Blur: "moderation", Scopes: pageScopes(caller.GetKey().GetScopes())}
	if s.Home() == "" {
		refuse(http.StatusForbidden, keyProblem("SCOPE_MISSING", "review:read"))
		return
	}
	if err := c.sessions.write(w, r, s); err != nil {
		c.log.Error("console session", "error", err)
		refuse(http.StatusInternalServerError, "Signing in failed on the server.")
		return
	}
	target := s.Home()
	if inside(form.Back) {
		target = form.Back
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

func (c *Console) signOut(w http.ResponseWriter, r *http.Request) {
	c.sessions.clear(w, r)
	http.Redirect(w, r, root+"/sign-in", http.StatusSeeOther)
}

// preferences changes how much is blurred.
func (c *Console) preferences(w http.ResponseWriter, r *http.Request, s *session) error {
	if b := r.PostFormValue("blur"); b == "moderation" || b == "always" || b == "never" {
		s.Blur = b
		if err := c.sessions.write(w, r, s); err != nil {
			return err
		}
	}
	back := s.Home()
	if b := r.PostFormValue("back"); inside(b) {
		back = b
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
	return nil
}

// inside says whether an address that came from outside leads to a page of the console and nowhere else.
func inside(back string) bool {
	u, err := url.Parse(back)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil && strings.HasPrefix(u.Path, root+"/") && !strings.Contains(back, "\\") && !strings.HasPrefix(back, "//")
}

// validReviewer is the contract's rule for names.
func validReviewer(s string) bool {
	if s == "" || utf8.RuneCountInString(s) > maxReviewer || strings.Contains(s, ":") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.C, r) || r == utf8.RuneError })
}

func keyProblem(reason, scope string) string {
	switch reason {
	case "KEY_EXPIRED":
		return "This API key has expired. Ask for a new one."
	case "KEY_REVOKED":
		return "This API key was revoked. Ask for a new one."
	case "KEY_INVALID", "KEY_MISSING":
		return "This is not a valid API key. Copy it whole: it begins with syk_."
	case "SCOPE_MISSING":
		return "This API key lacks the scope " + scope + ". Reviewers need review:read and review:work, people who look after models models:read and models:write."
	}
	return "The server cannot be reached at the moment. Try again in a moment."
}
