package operator

import (
	"context"
	"net/url"
	"strconv"

	"github.com/drayage/drayage/internal/ledger"
)

// Ledger asks for one page of the ledger.
func (c *Client) Ledger(ctx context.Context, query ledger.Query) (LedgerPage, error) {
	var page LedgerPage
	err := c.get(ctx, LedgerPath+"?"+EncodeQuery(query).Encode(), &page)
	return page, err
}

// Invocations asks for one page of the invocations: the limit latest ones, or
// those that began before the one whose ID is given. A limit of 0 leaves it to
// the daemon.
func (c *Client) Invocations(ctx context.Context, before string, limit int) (InvocationPage, error) {
	values := url.Values{}
	if before != "" {
		values.Set("before", before)
	}
	setLimit(values, limit)
	var page InvocationPage
	err := c.get(ctx, InvocationsPath+"?"+values.Encode(), &page)
	return page, err
}

// Invocation asks what the daemon knows of an invocation. The error is a
// [*NotFoundError] if it knows nothing.
func (c *Client) Invocation(ctx context.Context, id string) (Invocation, error) {
	var invocation Invocation
	err := c.get(ctx, InvocationPath+url.PathEscape(id), &invocation)
	return invocation, err
}

// Expected asks for everything that an invocation asked for, or would have.
func (c *Client) Expected(ctx context.Context, id string) (ExpectedSet, error) {
	var set ExpectedSet
	err := c.get(ctx, InvocationPath+url.PathEscape(id)+ExpectedSuffix, &set)
	return set, err
}

// Compare asks how the pushes of two invocations differ.
func (c *Client) Compare(ctx context.Context, before, after string) (Comparison, error) {
	var comparison Comparison
	err := c.get(ctx, ComparePath+"?"+url.Values{"before": {before}, "after": {after}}.Encode(), &comparison)
	return comparison, err
}

// Checkpoint asks for the latest signed checkpoint of the log.
func (c *Client) Checkpoint(ctx context.Context) ([]byte, error) {
	return c.getText(ctx, CheckpointPath)
}

// LogKey asks for the verifier key of the key that signs checkpoints now, which
// stands on a line of its own.
func (c *Client) LogKey(ctx context.Context) ([]byte, error) {
	return c.getText(ctx, LogKeyPath)
}

// Verify has the daemon verify its ledger, which takes a while for a long one.
func (c *Client) Verify(ctx context.Context, request VerifyRequest) (LogReport, error) {
	var report LogReport
	err := c.post(ctx, VerifyPath, request, &report)
	return report, err
}

// Prove asks for proofs of a digest, of the newest row first. The error is a
// [*NotFoundError] if no row has the digest.
func (c *Client) Prove(ctx context.Context, digest string) ([]ledger.Proof, error) {
	var proofs Proofs
	err := c.get(ctx, ProofsPath+"?"+url.Values{"digest": {digest}}.Encode(), &proofs)
	return proofs.Proofs, err
}

// Jobs asks for one page of the jobs that have not ended: those of an invocation,
// or, with an empty one, all, that were found after the one whose ID is given.
func (c *Client) Jobs(ctx context.Context, invocation string, after int64, limit int) (JobPage, error) {
	var page JobPage
	err := c.get(ctx, JobsPath+"?"+pageOf("invocation", invocation, after, limit).Encode(), &page)
	return page, err
}

// Cancel calls off jobs that have not ended.
func (c *Client) Cancel(ctx context.Context, selection Selection) (Acted, error) {
	return c.act(ctx, CancelPath, selection)
}

// Retry makes jobs that wait for their next attempt due at once.
func (c *Client) Retry(ctx context.Context, selection Selection) (Acted, error) {
	return c.act(ctx, RetryPath, selection)
}

// Requeue does pushes again that failed, were denied or were cancelled.
func (c *Client) Requeue(ctx context.Context, selection Selection) (Acted, error) {
	return c.act(ctx, RequeuePath, selection)
}

func (c *Client) act(ctx context.Context, path string, selection Selection) (Acted, error) {
	var acted Acted
	err := c.post(ctx, path, selection, &acted)
	return acted, err
}

// DeadLetters asks for one page of the events that are not delivered any more:
// those of a webhook, or, with an empty one, all, after the one whose number is
// given.
func (c *Client) DeadLetters(ctx context.Context, webhook string, after int64, limit int) (DeadLetterPage, error) {
	var page DeadLetterPage
	err := c.get(ctx, DeadLettersPath+"?"+pageOf("webhook", webhook, after, limit).Encode(), &page)
	return page, err
}

// Redeliver has dead letters delivered again.
func (c *Client) Redeliver(ctx context.Context, redelivery Redelivery) (Redelivered, error) {
	var redelivered Redelivered
	err := c.post(ctx, RedeliverPath, redelivery, &redelivered)
	return redelivered, err
}

// pageOf asks for a page of what has a value, or of all with an empty one.
func pageOf(key, value string, after int64, limit int) url.Values {
	values := url.Values{}
	if value != "" {
		values.Set(key, value)
	}
	if after > 0 {
		values.Set("after", strconv.FormatInt(after, 10))
	}
	setLimit(values, limit)
	return values
}

func setLimit(values url.Values, limit int) {
	if limit > 0 {
		values.Set("limit", strconv.Itoa(limit))
	}
}
