package web

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"golang.org/x/mod/sumdb/note"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/store"
)

// digestForm is what a digest in the ledger looks like, or enough of one.
var digestForm = regexp.MustCompile(`^((sha256:)?[0-9a-f]{6,64}|sha512:[0-9a-f]{6,128})$`)

// checkpoint answers with the latest signed checkpoint, as it is.
func (h *handler) checkpoint(w http.ResponseWriter, r *http.Request) {
	signed, err := h.Source.Checkpoint(r.Context())
	switch {
	case err != nil:
		h.broken(w, r, err)
	case signed == nil:
		problem(w, http.StatusNotFound, "No checkpoint yet", "the ledger has no rows yet, or its first checkpoint is about to be signed")
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write(signed)
	}
}

// logKey answers with the key that verifies checkpoints.
func (h *handler) logKey(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, h.Source.LogKey())
}

// verify reads the whole ledger, for one client at a time: a second one waits.
func (h *handler) verify(w http.ResponseWriter, r *http.Request) {
	var request operator.VerifyRequest
	if !readBody(w, r, &request) {
		return
	}
	if err := checkVerify(request); err != nil {
		problem(w, http.StatusBadRequest, "Invalid body", err.Error())
		return
	}
	select {
	case h.verifying <- struct{}{}:
		defer func() { <-h.verifying }()
	case <-r.Context().Done():
		return
	}
	options := store.VerifyOptions{Keys: request.Keys}
	for _, signed := range request.Checkpoints {
		options.Checkpoints = append(options.Checkpoints, []byte(signed))
	}
	report, err := h.Source.Verify(r.Context(), options)
	if err != nil {
		// Whether a key of the database signed a checkpoint shows only now.
		if unsigned := checkSigned(request.Checkpoints, []string{h.Source.LogKey()}); len(request.Keys) == 0 && unsigned != nil {
			problem(w, http.StatusBadRequest, "Invalid body", unsigned.Error())
			return
		}
		h.broken(w, r, err)
		return
	}
	found(w, logReport(report))
}

// checkVerify says what of the request cannot be.
func checkVerify(request operator.VerifyRequest) error {
	if len(request.Keys) > operator.MaxKeys {
		return fmt.Errorf("keys: %d were given, but at most %d are allowed", len(request.Keys), operator.MaxKeys)
	}
	if len(request.Checkpoints) > operator.MaxCheckpoints {
		return fmt.Errorf("checkpoints: %d were given, but at most %d are allowed", len(request.Checkpoints), operator.MaxCheckpoints)
	}
	for _, key := range request.Keys {
		if _, err := note.NewVerifier(key); err != nil {
			return fmt.Errorf("keys: %.200q must be a verifier key, name+hash+base64", key)
		}
	}
	if len(request.Keys) == 0 {
		return nil
	}
	return checkSigned(request.Checkpoints, request.Keys)
}

func checkSigned(checkpoints, keys []string) error {
	for i, signed := range checkpoints {
		if _, err := ledger.OpenCheckpoint([]byte(signed), keys); err != nil {
			return fmt.Errorf("checkpoints[%d]: %w", i, err)
		}
	}
	return nil
}

func logReport(report store.Report) operator.LogReport {
	told := operator.LogReport{
		Rows: report.Rows, Waiting: report.Waiting, Checkpoints: report.Checkpoints, Root: report.Root.String(),
		Problems: []operator.LogProblem{},
	}
	for _, p := range report.Problems {
		problem := operator.LogProblem{Text: p.String()}
		if p.Entry >= 0 {
			problem.Entry = &p.Entry
		}
		if p.Index >= 0 {
			problem.Index = &p.Index
		}
		told.Problems = append(told.Problems, problem)
	}
	return told
}

// proofs answers with proofs of a digest.
func (h *handler) proofs(w http.ResponseWriter, r *http.Request) {
	parameters, err := operator.RequireParameters(r.URL.Query(), "digest")
	if err == nil && !digestForm.MatchString(parameters[0]) {
		err = errors.New("digest: must be a whole digest, sha256: and 64 digits, or at least its first 6 digits")
	}
	if err != nil {
		badQuery(w, err)
		return
	}
	proofs, err := h.Source.Prove(r.Context(), parameters[0])
	switch {
	case err != nil:
		h.failed(w, r, err)
	case len(proofs) == 0:
		problem(w, http.StatusNotFound, "No such digest", fmt.Sprintf("no row of the ledger has the digest %s", parameters[0]))
	default:
		found(w, operator.Proofs{Proofs: proofs})
	}
}
