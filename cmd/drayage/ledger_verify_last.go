package main

import (
	"context"
	"fmt"
	"io"

	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/table"
)

// showLast shows what the daemon found when it last compared the ledger with the
// registries.
func (f verifyFlags) showLast(ctx context.Context, out io.Writer) error {
	client, err := dial(f.daemon)
	if err != nil {
		return err
	}
	last, err := client.LastVerification(ctx)
	if err != nil {
		return err
	}
	return writeVerification(out, last)
}

// writeVerification says what was found. The error is that registries do not serve what the
// ledger says.
func writeVerification(w io.Writer, v operator.Verification) error {
	if v.Began.IsZero() {
		_, err := fmt.Fprintln(w, "The daemon has not asked the registries yet. verify.every in its configuration says how often it does.")
		return err
	}
	for _, difference := range v.Differences {
		fmt.Fprintln(w, table.Printable(difference.String()))
	}
	if v.Omitted > 0 {
		fmt.Fprintf(w, "and %d more\n", v.Omitted)
	}
	when := "since " + clockTime(v.Began) + ", still going on"
	if !v.Ended.IsZero() {
		when = "from " + clockTime(v.Began) + " to " + clockTime(v.Ended)
	}
	fmt.Fprintf(w, "%s: %d of %d tags and digests are served as the ledger says, %d could not be looked up\n",
		when, v.Checked-v.Drifted()-v.Unknown, v.Checked, v.Unknown)
	if v.Error != "" {
		fmt.Fprintln(w, table.Printable("it ended early: "+v.Error))
	}
	if n := v.Drifted(); n > 0 {
		return fmt.Errorf("the registries do not serve what the ledger says: %s", counted(n, "problem", "problems"))
	}
	return nil
}
