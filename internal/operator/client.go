package operator

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/drayage/drayage/internal/certpool"
)

// maxAnswer bounds one answer of the daemon, in bytes.
const maxAnswer = 256 << 20

// askTimeout bounds a question that is answered from an index.
const askTimeout = time.Minute

// Client asks a daemon.
type Client struct {
	base, token string
	http        *http.Client
}

// Login is how a daemon is spoken to that does not answer everybody. All are names of
// files, and may be empty.
type Login struct {
	// CA holds the PEM certificates that the daemon's certificate must lead to, in the
	// place of the system's.
	CA string
	// Cert and Key are the PEM certificate to show to the daemon, and its key.
	Cert, Key string
	// Token holds the token to show.
	Token string
}

// NewClient asks the daemon whose HTTP address is base, as in
// "http://127.0.0.1:9091".
func NewClient(base string, login Login) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("%q must be the HTTP address of a daemon, such as http://127.0.0.1:9091", base)
	}
	c := &Client{base: strings.TrimSuffix(base, "/"), http: &http.Client{}}
	if login.Token != "" {
		token, err := os.ReadFile(login.Token)
		if err != nil {
			return nil, fmt.Errorf("read the token for the daemon: %w", err)
		}
		c.token = string(bytes.TrimSpace(token))
	}
	security, err := login.tls()
	if err != nil {
		return nil, err
	}
	if security != nil {
		transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // net/http says what it is
		transport.TLSClientConfig = security
		c.http.Transport = transport
	}
	return c, nil
}

// tls is nil where the system's settings do.
func (l Login) tls() (*tls.Config, error) {
	if l.CA == "" && l.Cert == "" && l.Key == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if l.CA != "" {
		var err error
		if config.RootCAs, err = certpool.Read(l.CA); err != nil {
			return nil, fmt.Errorf("read the daemon's certificate authority: %w", err)
		}
	}
	if l.Cert != "" || l.Key != "" {
		certificate, err := tls.LoadX509KeyPair(l.Cert, l.Key)
		if err != nil {
			return nil, fmt.Errorf("read the certificate for the daemon: %w", err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
}

// UnavailableError says that the daemon cannot be reached, or cannot answer now.
type UnavailableError struct{ err error }

func (e *UnavailableError) Error() string { return e.err.Error() }

// Unwrap returns what was wrong.
func (e *UnavailableError) Unwrap() error { return e.err }

// NotFoundError says that the daemon does not know what was asked for.
type NotFoundError struct{ detail string }

func (e *NotFoundError) Error() string { return e.detail }

// ConflictError says that what was asked for cannot be done in the state that things are in.
type ConflictError struct{ detail string }

func (e *ConflictError) Error() string { return e.detail }

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
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		if unreachable, ok := errors.AsType[*url.Error](err); ok {
			err = unreachable.Err
		}
		return &UnavailableError{fmt.Errorf("ask the daemon at %s: %w. Check that drayaged runs and that this is its HTTP address", c.base, err)}
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return &UnavailableError{fmt.Errorf("read the answer of the daemon at %s: %w", c.base, err)}
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
	err := c.refused(response, data)
	if response.StatusCode >= http.StatusInternalServerError {
		return &UnavailableError{err}
	}
	return err
}

func (c *Client) refused(response *http.Response, data []byte) error {
	var problem Problem
	if json.Unmarshal(data, &problem) != nil || problem.Title == "" {
		return fmt.Errorf("ask the daemon at %s: it answered %s", c.base, response.Status)
	}
	text := problem.Title
	if problem.Detail != "" {
		text += ": " + problem.Detail
	}
	switch response.StatusCode {
	case http.StatusNotFound:
		return &NotFoundError{detail: text}
	case http.StatusConflict:
		return &ConflictError{detail: text}
	}
	return fmt.Errorf("ask the daemon at %s: %s", c.base, text)
}
