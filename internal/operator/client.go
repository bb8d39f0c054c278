package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/drayage/drayage/internal/ledger"
)

// maxAnswer bounds one answer of the daemon, in bytes.
const maxAnswer = 256 << 20

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
	return &Client{
		base: strings.TrimSuffix(base, "/"),
		http: &http.Client{Timeout: time.Minute},
	}, nil
}

// Ledger asks for one page of the ledger.
func (c *Client) Ledger(ctx context.Context, query ledger.Query) (LedgerPage, error) {
	var page LedgerPage
	err := c.get(ctx, LedgerPath+"?"+EncodeQuery(query).Encode(), &page)
	return page, err
}

// Invocation asks what the daemon knows of an invocation. The error is a
// [*NotFoundError] if it knows nothing.
func (c *Client) Invocation(ctx context.Context, id string) (Invocation, error) {
	var invocation Invocation
	err := c.get(ctx, InvocationPath+url.PathEscape(id), &invocation)
	return invocation, err
}

// NotFoundError says that the daemon does not know what was asked for.
type NotFoundError struct{ Detail string }

func (e *NotFoundError) Error() string { return e.Detail }

func (c *Client) get(ctx context.Context, path string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		var unreachable *url.Error
		if errors.As(err, &unreachable) {
			err = unreachable.Err
		}
		return fmt.Errorf("ask the daemon at %s: %w; is drayaged running, and is this its http address?", c.base, err)
	}
	defer func() { _ = response.Body.Close() }()
	body := io.LimitReader(response.Body, maxAnswer)
	if response.StatusCode != http.StatusOK {
		var problem Problem
		if json.NewDecoder(body).Decode(&problem) != nil || problem.Title == "" {
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
	if err := json.NewDecoder(body).Decode(answer); err != nil {
		return fmt.Errorf("read the answer of the daemon at %s: %w", c.base, err)
	}
	return nil
}
