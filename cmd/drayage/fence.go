package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/copies"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/table"
)

func newFenceCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "fence REGISTRY/REPOSITORY[:TAG]",
		Short: "Show and lift the fences that keep older builds from moving tags",
		Long: `Show which build moved each tag of a repository last. Builds that are older leave such a
tag alone, and end as superseded. The order of builds is that in which they began, or
that of a number that the daemon's release.order_by names.

drayage fence lift lets any build move a tag again, until one has: for example, to promote
an older build on purpose, or after a build host whose clock was wrong.`,
		Example: `  drayage fence ghcr.io/acme/app
  drayage fence ghcr.io/acme/app:latest --format json
  drayage fence lift ghcr.io/acme/app:latest`,
	}
	addShowFences(command)
	show := &cobra.Command{
		Use:     "show REGISTRY/REPOSITORY[:TAG]",
		Short:   "Show which build moved each tag last",
		Example: "  drayage fence show ghcr.io/acme/app",
	}
	addShowFences(show)
	command.AddCommand(show, newLiftCommand())
	return command
}

func addShowFences(command *cobra.Command) {
	var v view
	command.Args = cobra.ExactArgs(1)
	command.RunE = show(&v, func(ctx context.Context, client *operator.Client, args []string) (operator.FenceList, error) {
		of, err := parseTag(args[0])
		if err != nil {
			return operator.FenceList{}, err
		}
		return client.Fences(ctx, of.Registry, of.Repository, of.Tag)
	}, writeFences)
	v.addFlags(command)
}

// parseTag reads REGISTRY/REPOSITORY[:TAG].
func parseTag(text string) (operator.FencedTag, error) {
	of, err := copies.ParseReference(text)
	if tag := (copies.Reference{Registry: of.Registry, Repository: of.Repository, Tag: of.Tag}); err == nil && of != tag {
		err = fmt.Errorf("%q must not have a digest: fences are at tags", text)
	}
	return operator.FencedTag{Registry: of.Registry, Repository: of.Repository, Tag: of.Tag}, err
}

func writeFences(w io.Writer, list operator.FenceList) error {
	if len(list.Fences) == 0 {
		_, err := fmt.Fprintln(w, "The daemon has written no such tag.")
		return err
	}
	rows := [][]string{{"TAG", "DIGEST", "ORDER", "INVOCATION", "TARGET", "LIFTED"}}
	for _, f := range list.Fences {
		lifted := ""
		if !f.Lifted.IsZero() {
			lifted = f.Lifted.In(time.Local).Format(time.DateTime) + " by " + f.LiftedBy
		}
		rows = append(rows, []string{f.Tag, table.ShortDigest(f.Digest), order(f), f.InvocationID, f.Target, lifted})
	}
	if err := table.Write(w, rows); err != nil || !list.More {
		return err
	}
	_, err := fmt.Fprintln(w, "\nThere are more. Name a tag to see its fence.")
	return err
}

// order is the place of a fence's build among builds.
func order(f operator.Fence) string {
	switch {
	case f.Started.IsZero() && f.Number == 0:
		return "any build"
	case f.Number != 0:
		return strconv.FormatInt(f.Number, 10)
	}
	return f.Started.In(time.Local).Format(time.DateTime)
}

func newLiftCommand() *cobra.Command {
	var daemon string
	command := &cobra.Command{
		Use:   "lift REGISTRY/REPOSITORY:TAG",
		Short: "Let any build move a tag, until one has",
		Long: `Let any build move a tag again, until one has. The tag itself stays as it is. The
daemon's log and drayage fence show who did it; the daemon's policy says who may, in
promote.`,
		Example: "  drayage fence lift ghcr.io/acme/app:latest",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			tag, err := parseTag(args[0])
			if err == nil && tag.Tag == "" {
				err = errors.New("a tag must be given, as in " + args[0] + ":latest")
			}
			if err != nil {
				return err
			}
			client, err := dial(daemon)
			if err != nil {
				return err
			}
			lifted, err := client.LiftFence(command.Context(), tag)
			if err != nil {
				return err
			}
			text := "lifted; the next build that writes " + args[0] + " moves it"
			if lifted.Fences == 0 {
				text = "any build moves " + args[0] + " already"
			}
			_, err = fmt.Fprintln(command.OutOrStdout(), text)
			return err
		},
	}
	addDaemonFlag(command, &daemon)
	return command
}
