package operator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// maxAnswer bounds one answer of the daemon, in bytes.
const maxAnswer = 256 << 20

// askTimeout bounds a question that is answered from an index.
const askTimeout = time.Minute

// Client asks a daemon.
type Client struct {
	base string
	http *http.Client
}

// NewClient asks the daemon whose HTTP address is base, as in
// "http://127.0.0.1:9091".
func NewClient(base string) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("%q is not the HTTP address of a daemon: give one such as http://127.0.0.1:9091", base)
	}
	return &Client{base: strings.TrimSuffix(base, "/"), http: &http.Client{}}, nil
}

// NotFoundError says that the daemon does not know what was asked for.
type NotFoundError struct{ Detail string }

func (e *NotFoundError) Error() string { return e.Detail }

// get asks for a JSON document.
func (c *Client) get(ctx context.Context, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return c.ask(ctx, http.MethodGet, path, nil, answer)
}

// getText asks for a text.
func (c *Client) getText(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var text []byte
	err := c.ask(ctx, http.MethodGet, path, nil, &text)
	return text, err
}

// post has the daemon do something, for as long as ctx allows.
func (c *Client) post(ctx context.Context, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	return c.ask(ctx, http.MethodPost, path, body, answer)
}

// ask sends one request. The answer is decoded, or kept as it is where a *[]byte
// is to hold it.
func (c *Client) ask(ctx context.Context, method, path string, body []byte, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		if unreachable, ok := errors.AsType[*url.Error](err); ok {
			err = unreachable.Err
		}
		return fmt.Errorf("ask the daemon at %s: %w; is drayaged running, and is this its http address?", c.base, err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of the daemon at %s: %w", c.base, err)
	}
	if response.StatusCode != http.StatusOK {
		return c.refusal(response, data)
	}
	if text, ok := answer.(*[]byte); ok {
		*text = data
		return nil
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("read the answer of the daemon at %s: %w", c.base, err)
	}
	return nil
}

// refusal is the error that an answer other than 200 tells of.
func (c *Client) refusal(response *http.Response, data []byte) error {
	var problem Problem
	if json.Unmarshal(data, &problem) != nil || problem.Title == "" {
		return fmt.Errorf("ask the daemon at %s: it answered %s", c.base, response.Status)
	}
	text := problem.Title
	if problem.Detail != "" {
		text += ": " + problem.Detail
	}
	if response.StatusCode == http.StatusNotFound {
		return &NotFoundError{Detail: text}
	}
	return fmt.Errorf("ask the daemon at %s: %s", c.base, text)
}
