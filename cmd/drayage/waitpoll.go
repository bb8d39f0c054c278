package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/clock"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
)

// waiter waits for the pushes of invocations.
type waiter struct {
	client *operator.Client
	// until is untilStaged or untilPushed.
	until string
	// interval is how often it asks. away is how long the daemon may be unreachable
	// before it is given up: it may be restarting.
	interval, away time.Duration
	// progress is told whatever changes. On a terminal there is one line of it.
	progress io.Writer
	terminal bool
	said     string
	saidAt   time.Time
}

const (
	waitInterval = 500 * time.Millisecond
	waitAwayFor  = time.Minute
)

// newWaiter waits on behalf of a command, as drayage wait does if no flag says otherwise.
func newWaiter(command *cobra.Command, client *operator.Client) *waiter {
	progress := command.ErrOrStderr()
	return &waiter{client: client, until: untilPushed, interval: waitInterval, away: waitAwayFor, progress: progress, terminal: isTerminal(progress)}
}

// reached says that there is nothing left to wait for.
func (w *waiter) reached(known operator.Invocation) bool {
	if w.until == untilStaged {
		return known.Staged()
	}
	return known.Settled() && !known.AwaitsApproval()
}

// wait returns when the pushes of all invocations are done, when ctx ends, or when the
// daemon has been away for too long. An error means that the daemon refuses to answer.
func (w *waiter) wait(ctx context.Context, ids []string) ([]waited, error) {
	list := make([]waited, len(ids))
	for i, id := range ids {
		list[i] = waited{ID: id, Result: waitUnknown, Summary: "the daemon has not heard of this invocation"}
	}
	var awaySince time.Time
	defer w.say("") // leaves a terminal's line empty
	for {
		settled, err := w.look(ctx, list)
		if settled {
			if err = w.detail(ctx, list); err == nil {
				return list, nil
			}
		}
		_, unavailable := errors.AsType[*operator.UnavailableError](err)
		switch {
		case err == nil:
			awaySince = time.Time{}
		case ctx.Err() != nil && context.Cause(ctx) != errTimeUp: //nolint:errorlint // it is that very error
			return nil, ctx.Err()
		case ctx.Err() != nil:
		case !unavailable:
			return nil, err
		case awaySince.IsZero():
			awaySince = time.Now()
			w.say(fmt.Sprintf("%v; trying again for %s", err, w.away))
		}
		tooLong := !awaySince.IsZero() && time.Since(awaySince) >= w.away
		if !tooLong {
			if clock.Wait(ctx, w.interval) == nil {
				continue
			}
			if context.Cause(ctx) != errTimeUp { //nolint:errorlint // it is that very error
				return nil, ctx.Err()
			}
		}
		w.giveUp(list, !awaySince.IsZero(), err)
		// With the time that is left over: what is known by now is worth showing.
		_ = w.detail(context.WithoutCancel(ctx), list)
		return list, nil
	}
}

// errTimeUp is why a wait's context ends.
var errTimeUp = errors.New("time is up")

// look asks once for everything that is not settled, and says whether all of it is.
func (w *waiter) look(ctx context.Context, list []waited) (settled bool, err error) {
	settled = true
	var status []string
	for i := range list {
		it := &list[i]
		known, err := w.client.Invocation(ctx, it.ID)
		if _, unknown := errors.AsType[*operator.NotFoundError](err); unknown {
			settled = false
			status = append(status, w.label(list, it)+"the daemon has not heard of this invocation yet")
			continue
		}
		if err != nil {
			return false, err
		}
		it.Known, it.Summary, it.Result = &known, summarize(known), waitTimedOut
		if w.reached(known) {
			it.Result = judge(known, w.until)
			continue
		}
		settled = false
		status = append(status, w.label(list, it)+it.Summary)
	}
	w.say(strings.Join(status, "\n"))
	return settled, nil
}

// label names an invocation where there are several.
func (w *waiter) label(list []waited, it *waited) string {
	if len(list) == 1 {
		return ""
	}
	return it.ID + ": "
}

// say tells how far it is, if that has changed. Who reads a log is spared most of it.
func (w *waiter) say(status string) {
	if status == w.said || !w.terminal && w.said != "" && status != "" && time.Since(w.saidAt) < reportEvery {
		return
	}
	w.said, w.saidAt = status, time.Now()
	switch {
	case w.terminal:
		const clearLine = "\r\x1b[K"
		fmt.Fprint(w.progress, clearLine, strings.ReplaceAll(status, "\n", " | "))
	case status != "":
		fmt.Fprintln(w.progress, status)
	}
}

// giveUp says what is known of what has not settled.
func (w *waiter) giveUp(list []waited, away bool, err error) {
	for i := range list {
		it := &list[i]
		if it.Result != waitTimedOut && it.Result != waitUnknown {
			continue
		}
		switch {
		case away:
			it.Result = waitAway
			it.Summary = fmt.Sprintf("the daemon cannot be reached: %v", err)
		case it.Result == waitTimedOut:
			it.Summary = "time is up: " + it.Summary
		}
	}
}

// detail asks for the rows of what is known.
func (w *waiter) detail(ctx context.Context, list []waited) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), detailTime)
	defer cancel()
	for i := range list {
		it := &list[i]
		it.Missing, it.Pushes = []ledger.Expected{}, []ledger.Entry{}
		if it.Known == nil || it.Result == waitAway {
			continue
		}
		entries, err := fetch(ctx, w.client, ledger.Query{Invocation: it.ID}, 0)
		if err != nil {
			return err
		}
		it.Pushes = ledger.Latest(entries)
		set, err := w.client.Expected(ctx, it.ID)
		if err != nil {
			return err
		}
		for _, e := range set.Expected {
			if e.State.Missing(it.Known.Over()) {
				it.Missing = append(it.Missing, e)
			}
		}
	}
	return nil
}

// detailTime bounds how long the rows are asked for once the wait is over.
const detailTime = time.Minute
