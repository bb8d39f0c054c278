// Command drayage is the lean half of Drayage: what the rules' build actions run,
// and what people type to ask the daemon.
//
// See docs/decisions/0013-two-programs.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/version"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// run is the whole program; it returns the exit code.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	args, err := expand(args)
	if err == nil {
		root := newRoot()
		root.SetArgs(args)
		err = root.ExecuteContext(ctx)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "drayage: %v\n", err)
		if exit, ok := errors.AsType[*exitError](err); ok {
			return exit.code
		}
		return 1
	}
	return 0
}

const (
	groupPeople  = "people"
	groupActions = "actions"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "drayage",
		Short: "Container images from Bazel builds",
		Long: `drayage makes image layers, manifests and push specs inside Bazel build actions.
It also shows what the daemon, drayaged, did with them.

drayage @FILE reads all arguments from FILE. White space separates them, and they are
quoted as in a shell.`,
		Version:       version.String(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddGroup(
		&cobra.Group{ID: groupPeople, Title: "Commands for people:"},
		&cobra.Group{ID: groupActions, Title: "Commands for the actions of the Bazel rules:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupPeople, newLedgerCommand(), newJobsCommand(), newRegistriesCommand(), newWebhooksCommand(), newWaitCommand(), newPromoteCommand(), newRejectCommand(), newRollbackCommand(), newFenceCommand(), newPushCommand(), newCopyCommand(), newLoadCommand(), newDoctorCommand())
	add(groupActions, newLayerCommand(), newTarLayerCommand(), newManifestCommand(), newIndexCommand(), newBlobCommand(), newReferrerCommand(), newPushSpecCommand(), newPullCommand(), newImportCommand())
	return root
}
