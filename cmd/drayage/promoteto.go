package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/drayage/drayage/internal/copies"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/table"
)

// repositoryVariable stands for an image's repository in --to.
const repositoryVariable = "{REPOSITORY}"

// copyTo has the daemon copy the images of invocations, and waits for the copies.
func (d *decision) copyTo(command *cobra.Command, client *operator.Client, invocations []string, to string) error {
	ctx := command.Context()
	images, without, err := imagesToCopy(ctx, client, invocations)
	if err != nil {
		return err
	}
	for _, text := range without {
		fmt.Fprintln(command.ErrOrStderr(), "drayage: left out: "+table.Printable(text))
	}
	wanted, err := copiesTo(images, to)
	if err != nil {
		return err
	}
	queued, failure := queueCopies(ctx, client, wanted)
	if len(queued) == 0 {
		return failure
	}
	report, err := await(command, client, queued, d.timeout)
	if err == nil {
		err = writeCopies(command.OutOrStdout(), report, d.format)
	}
	if err := errors.Join(failure, err); err != nil {
		return err
	}
	if len(without) > 0 && worst(report.Result, waitIncomplete) == waitIncomplete {
		return &exitError{code: waitIncomplete.exitCode(), err: fmt.Errorf("%s: not every push has an image to copy: see above", waitIncomplete)}
	}
	return report.err()
}

// writeCopies writes what became of copies, in one table.
func writeCopies(w io.Writer, report waitReport, format string) error {
	if format != "table" {
		return waitFormats[format](w, report)
	}
	var rows []ledger.Entry
	for _, it := range report.Invocations {
		rows = append(rows, it.Pushes...)
	}
	if len(rows) > 0 {
		if err := writeTable(w, rows); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	for _, it := range report.Invocations {
		if it.Result.exitCode() != 0 {
			fmt.Fprintf(w, "%s: %s: %s\n", it.ID, it.Result, table.Printable(it.Summary))
		}
	}
	_, err := fmt.Fprintf(w, "%s: %s\n", report.Result, counted(len(report.Invocations), "copy", "copies"))
	return err
}

// imagesToCopy are the newest rows of the invocations' pushes: those whose images are in
// their registries. Of the pushes without an image it says what became of them.
func imagesToCopy(ctx context.Context, client *operator.Client, invocations []string) (images []ledger.Entry, without []string, err error) {
	for _, id := range invocations {
		known, err := client.Invocation(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		if !known.Staged() {
			return nil, nil, fmt.Errorf("%s: %s; wait for it first: drayage wait %s --until staged", id, summarize(known), id)
		}
		entries, err := fetch(ctx, client, ledger.Query{Invocation: id}, 0)
		if err != nil {
			return nil, nil, err
		}
		for _, e := range ledger.Latest(entries) {
			if e.Outcome.Good() || keepsTagsBack(e.Outcome) {
				images = append(images, e)
			} else {
				without = append(without, fmt.Sprintf("%s: %s", e.Target, e.Outcome))
			}
		}
		if known.Missing > 0 || known.Unconfigured > 0 {
			without = append(without, id+": "+summarize(known))
		}
	}
	if len(images) == 0 {
		return nil, nil, errors.New("there is no image to copy: nothing of these invocations is pushed, staged or withheld")
	}
	return images, without, nil
}

// copiesTo are the copies that --to asks for: one of each image to each repository, with
// all its tags.
func copiesTo(images []ledger.Entry, to string) ([]operator.Copy, error) {
	if first := images[0].Repository; !strings.Contains(to, repositoryVariable) &&
		slices.ContainsFunc(images, func(e ledger.Entry) bool { return e.Repository != first }) {
		return nil, fmt.Errorf("--to: the images are of several repositories: use %s, as in --to %s/%s", repositoryVariable, to, repositoryVariable)
	}
	type key struct{ digest, destination string }
	var list []operator.Copy
	at := map[key]int{}
	owners := map[string]ledger.Entry{} // of the tags
	for _, e := range images {
		destination := strings.ReplaceAll(to, repositoryVariable, e.Repository)
		if err := checkPlain(destination); err != nil {
			return nil, err
		}
		if own, err := copies.ParseReference(e.Registry + "/" + e.Repository); err == nil && own.String() == mustReference(destination) {
			return nil, fmt.Errorf("nothing was copied: --to: %s is where %s itself pushes to: drayage promote %s, without --to, moves its tags there", destination, e.Target, e.InvocationID)
		}
		k := key{e.Digest, destination}
		i, there := at[k]
		if !there {
			i = len(list)
			at[k] = i
			list = append(list, operator.Copy{Source: e.Registry + "/" + e.Repository + "@" + e.Digest, Destinations: []string{destination}})
		}
		for _, tag := range tagsOf(e) {
			name := destination + ":" + tag
			if owner, taken := owners[name]; taken && owner.Digest != e.Digest {
				return nil, fmt.Errorf("nothing was copied: %s and %s both want %s, but their images differ: %s and %s", owner.Target, e.Target, name, owner.Digest, e.Digest)
			}
			owners[name] = e
			if !slices.Contains(list[i].Tags, tag) {
				list[i].Tags = append(list[i].Tags, tag)
			}
		}
	}
	return list, nil
}

// mustReference is the canonical form of a repository that was checked.
func mustReference(repository string) string {
	reference, err := copies.ParseReference(repository)
	if err != nil {
		return repository
	}
	return reference.String()
}

// checkPlain says whether a destination is a repository, without a tag or a digest.
func checkPlain(destination string) error {
	to, err := copies.ParseReference(destination)
	if err == nil && to.String() != to.Registry+"/"+to.Repository {
		err = errors.New("it must have neither a tag nor a digest: the images keep theirs")
	}
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	return nil
}

// tagsOf are the tags that a row has or waits for.
func tagsOf(e ledger.Entry) []string {
	tags := slices.Clone(e.HeldTags)
	for _, tag := range e.Tags {
		if !slices.Contains(tags, tag.Name) {
			tags = append(tags, tag.Name)
		}
	}
	return tags
}

// queueCopies asks the daemon for copies, and returns the invocations of those that it
// makes.
func queueCopies(ctx context.Context, client *operator.Client, wanted []operator.Copy) ([]string, error) {
	queued, failures := make([]string, len(wanted)), make([]error, len(wanted))
	var g errgroup.Group
	g.SetLimit(pushesAtOnce)
	for i, c := range wanted {
		g.Go(func() error {
			copied, err := client.Copy(ctx, c)
			if err != nil {
				failures[i] = fmt.Errorf("copy %s: %w", c.Source, err)
			}
			queued[i] = copied.InvocationID
			return nil
		})
	}
	_ = g.Wait() // the failures are in their order
	return slices.DeleteFunc(queued, func(id string) bool { return id == "" }), errors.Join(failures...)
}
