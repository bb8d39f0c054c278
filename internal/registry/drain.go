package registry

import (
	"io"
	"net/http"
	"time"
)

// hurry makes an answer of which little is wanted come to its end soon.
func hurry(resp *http.Response) {
	if body, ok := resp.Body.(*answerBody); ok {
		body.within(min(hurryTime, 2*body.idle))
	}
}

// hurryTime is how long the rest of an answer may take of which the status is what
// counts.
const hurryTime = 5 * time.Second

// drain reads the rest of a small body, so that its connection can be used
// again.
func drain(resp *http.Response) {
	hurry(resp)
	// What is left unread costs a connection, nothing else.
	_, _ = io.CopyN(io.Discard, resp.Body, 16<<10)
	resp.Body.Close()
}
