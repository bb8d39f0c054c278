package ecr_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/drayage/drayage/internal/ecr"
)

func TestARepositoryIsCreatedInItsAccountAndRegion(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		answer string
		want   string
	}{
		"created":       {http.StatusOK, `{"repository":{"repositoryName":"acme/app"}}`, ""},
		"there already": {http.StatusBadRequest, `{"__type":"RepositoryAlreadyExistsException","message":"it exists"}`, ""},
		"not allowed":   {http.StatusBadRequest, `{"__type":"AccessDeniedException","message":"not authorized to perform: ecr:CreateRepository"}`, "ecr:CreateRepository"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked struct {
				RegistryID     string `json:"registryId"`
				RepositoryName string `json:"repositoryName"`
			}
			var target, signed string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				target, signed = r.Header.Get("X-Amz-Target"), r.Header.Get("Authorization")
				if err := json.UnmarshalRead(r.Body, &asked); err != nil {
					t.Error(err)
				}
				w.Header().Set("Content-Type", "application/x-amz-json-1.1")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.answer))
			}))
			t.Cleanup(server.Close)
			t.Setenv("AWS_ENDPOINT_URL_ECR", server.URL)
			t.Setenv("AWS_ACCESS_KEY_ID", "key")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
			t.Setenv("AWS_CONFIG_FILE", "/dev/null")
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")

			err := ecr.Create(t.Context(), "123456789012", "eu-central-1", "acme/app")
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
			if !strings.HasSuffix(target, ".CreateRepository") || asked.RegistryID != "123456789012" || asked.RepositoryName != "acme/app" || !strings.Contains(signed, "/eu-central-1/ecr/") {
				t.Errorf("asked was %s of %+v, signed %s", target, asked, signed)
			}
		})
	}
}
