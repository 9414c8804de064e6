package console

import (
	"net/http"
	"slices"
)

// section is a part of the console: where it begins, and the scope that its pages need.
type section struct{ Name, Path, Scope string }

// sections are in the order of the navigation. Nobody is shown the way to a page that would refuse the key; the services refuse it all the same.
var sections = []section{
	{"Queues", root + "/queues", "review:read"},
	{"Items", root + "/items", "review:read"},
	{"Deployments", root + "/deployments", "models:read"},
	{"Models", root + "/models", "models:read"},
	{"Runs", root + "/runs", "training:read"},
}

// pageScopes keeps the scopes that matter for pages: a cookie has no room for all that a key may hold.
func pageScopes(scopes []string) []string {
	var out []string
	for _, scope := range []string{
		"*", "review:read", "review:work", "review:write", "decisions:read", "models:read", "models:write", "monitoring:read", "training:read", "training:write",
	} {
		if slices.Contains(scopes, scope) {
			out = append(out, scope)
		}
	}
	return out
}

// Can says whether the key holds a scope. It only decides what is shown; what is done is decided where the call arrives.
func (s *session) Can(scope string) bool {
	return slices.Contains(s.Scopes, scope) || slices.Contains(s.Scopes, "*")
}

// Sections are those that the key opens.
func (s *session) Sections() []section {
	return slices.DeleteFunc(slices.Clone(sections), func(p section) bool { return !s.Can(p.Scope) })
}

// Home is the first page that the key opens; empty when there is none.
func (s *session) Home() string {
	if open := s.Sections(); len(open) > 0 {
		return open[0].Path
	}
	return ""
}

// home leads to the first page that the key opens.
func (c *Console) home(w http.ResponseWriter, r *http.Request, s *session) error {
	http.Redirect(w, r, s.Home(), http.StatusSeeOther)
	return nil
}
