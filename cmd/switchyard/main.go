// Command switchyard is the whole product in one binary: the server, the trainer, and a client for every operation.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/grpclog"
)

// version is set by the build: -ldflags "-X main.version=v1.2.3".
var version = "dev"

func main() {
	// What gRPC and its gateway note about single calls is in our own log already, with the request id.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRoot().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "switchyard:", explain(err))
		os.Exit(exitCode(err))
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "switchyard",
		Short: "Moderation, routing and classification with a guaranteed error rate",
		Long: `Switchyard decides about texts, inquiries and records: by itself where that is safe,
and by setting them aside for a person where it is not.

Start a server with "switchyard serve", teach it with "switchyard train",
and ask it with "switchyard moderate", "route" and "classify".`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		newServe(), newWorker(), newTrain(), newDatasets(), newRuns(),
		newModerate(), newRoute(), newClassify(), newExplain(), newReplay(),
		newPromises(), newEvaluate(),
		newDeployments(), newModels(),
		newLake(), newLedger(), newTasks(), newKeys(), newCheckConfig(), newVersion(),
	)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see: %s --help", err, c.CommandPath())}
	})
	return root
}

// usageError is a mistake in the words of a command.
type usageError struct{ error }

// Unwrap returns the mistake.
func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitCode is 2 for mistakes in the command's words, 1 for everything else, as shells expect.
func exitCode(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return 2
	}
	return 1
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), "switchyard", versionText())
			return err
		},
	}
}

// versionText is the version with the commit that it was built from, where the build knew it.
func versionText() string {
	var text strings.Builder
	text.WriteString(version)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				text.WriteString(" (" + s.Value[:12] + ")")
			}
		}
		text.WriteString(" " + info.GoVersion)
	}
	return text.String()
}
