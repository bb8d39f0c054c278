package web

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/drayage/drayage/internal/operator"
)

// FuzzBody: a body is taken, or refused as the client's mistake.
func FuzzBody(f *testing.F) {
	f.Add([]byte(`{"ids":[1,2],"invocation":"i"}`))
	f.Add([]byte(`{"source":"ghcr.io/a/b:c","to":["ghcr.io/d"]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, into := range []any{new(operator.Selection), new(operator.Copy), new(operator.Redelivery)} {
			request := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
			request.Header.Set("Content-Type", "application/json")
			recorder := httptest.NewRecorder()
			taken := readBody(recorder, request, into)
			if taken != (recorder.Body.Len() == 0) || !taken && (recorder.Code < 400 || recorder.Code > 499) {
				t.Errorf("%q: taken is %t, and the answer %d", body, taken, recorder.Code)
			}
		}
	})
}
