package registrytest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

func (r *Registry) now() time.Time {
	if r.rules.Now != nil {
		return r.rules.Now()
	}
	return time.Now()
}

// authorized answers 401 to who is not.
func (r *Registry) authorized(w http.ResponseWriter, req *http.Request, rules Rules) bool {
	if rules.User == "" && rules.TokenLife == 0 {
		return true
	}
	if rules.TokenLife == 0 {
		if user, password, ok := req.BasicAuth(); ok && user == rules.User && password == rules.Password {
			return true
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registrytest"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "who are you?")
		return false
	}
	repository, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/v2/"), "/manifests/")
	repository, _, _ = strings.Cut(repository, "/blobs/")
	action := "push"
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		action = "pull"
	}
	r.mu.Lock()
	given, known := r.tokens[strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")]
	valid := known && r.now().Before(given.expires)
	r.mu.Unlock()
	if valid && allows(given.scopes, repository, action) && (req.URL.Query().Get("from") == "" || allows(given.scopes, req.URL.Query().Get("from"), "pull")) {
		return true
	}
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="registrytest",scope="repository:%s:%s"`, req.Host, repository, action))
	refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "no valid token")
	return false
}

func allows(scopes, repository, action string) bool {
	for scope := range strings.FieldsSeq(scopes) {
		if actions, ok := strings.CutPrefix(scope, "repository:"+repository+":"); ok && strings.Contains(actions, action) {
			return true
		}
	}
	return false
}

func (r *Registry) serveToken(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if user, password, _ := req.BasicAuth(); r.rules.User != "" && (user != r.rules.User || password != r.rules.Password) {
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "wrong user name or password")
		return
	}
	scopes := req.URL.Query()["scope"]
	if r.rules.Grants != nil {
		granted := slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return !r.rules.Grants(scope) })
		if len(granted) < len(scopes) && r.rules.RefusesScopes {
			refuse(w, http.StatusForbidden, "DENIED", "not these scopes")
			return
		}
		scopes = granted
	}
	r.issued++
	token := fmt.Sprintf("token-%d", r.issued)
	r.tokens[token] = grant{scopes: strings.Join(scopes, " "), expires: r.now().Add(r.rules.TokenLife)}
	fmt.Fprintf(w, `{"token":%q,"expires_in":%d}`, token, int(r.rules.TokenLife.Seconds()))
}
