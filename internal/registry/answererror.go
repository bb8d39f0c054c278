package registry

import (
	"io"
	"net/http"
	"strings"
)

// maxErrorBody bounds what is read of an error's body.
const maxErrorBody = 64 << 10

// answerError reads the error out of an answer, and closes it. registry is who gave it.
func (h *host) answerError(op, registry string, used authorization, resp *http.Response) *Error {
	e := &Error{Op: op, registry: registry, Status: resp.StatusCode}
	e.RetryAfter, e.wished = retryAfter(resp, h.client.opts.Now())
	e.asked(used)
	hurry(resp)
	// Half a text is better than none.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody+1))
	resp.Body.Close()
	cut := len(body) > maxErrorBody
	if cut {
		body = body[:maxErrorBody]
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return e
	}
	codes, text := errorText(resp.Header.Get("Content-Type"), body)
	for _, code := range codes {
		e.codes = append(e.codes, shorten(h.client.tell(code, false), 64))
	}
	// What we asked for may come back as well, with its signature.
	if resp.Request != nil && resp.Request.URL != nil {
		for _, values := range resp.Request.URL.Query() {
			for _, value := range values {
				if len(value) >= 32 && !strings.HasPrefix(value, "sha") {
					text = strings.ReplaceAll(text, value, redacted)
				}
			}
		}
	}
	e.message = h.client.tell(text, cut)
	return e
}

// asked notes with what a request was made that was refused.
func (e *Error) asked(used authorization) {
	e.Credential = used.kind
	if used.source != "" {
		e.Credential += " (" + used.source + ")"
	}
	if e.Denied() && used.header == "" {
		e.looked = used.looked
	}
}
