package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/registry"
)

func newDatasetsSelect() *cobra.Command {
	var target targetFlags
	var asJSON bool
	var audit float64
	req := &reviewv1.SelectItemsRequest{}
	c := asking(&cobra.Command{
		Use: "select", Short: "Choose which waiting items people label first", Args: cobra.NoArgs,
		Long: `Choose among the items that wait in a review queue those that teach a model most, spread over what there is, and some by chance alone. They come first
from now on. With which probability each was chosen stands in its verdict, and weights it in data sets.`,
		Example: "  switchyard datasets select --operation routing --deployment support --count 500",
	}, func(c *cobra.Command, conn grpc.ClientConnInterface, _ []string) (err error) {
		if req.Operation, err = registry.Operation(target.operation); err != nil {
			return usageError{err}
		}
		req.Deployment, req.AuditShare = target.deployment, &audit
		r, err := reviewv1.NewReviewServiceClient(conn).SelectItems(c.Context(), req)
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(c.OutOrStdout(), r)
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "chose %d of %d waiting items, each with a probability of at least %.4g (selection %s, seed %d)\n",
			len(r.GetChosen()), r.GetCandidates(), r.GetLeast(), r.GetSelectionId(), r.GetSeed())
		return err
	})
	target.register(c)
	_ = c.MarkFlagRequired("deployment")
	s := c.Flags()
	s.Int32Var(&req.Count, "count", 200, "how many are chosen, at most 2000")
	s.Float64Var(&audit, "audit-share", 0.1, "the share of them that is chosen by chance alone; what a model can be certified on")
	s.Int32Var(&req.Priority, "priority", 8, "the priority that they get, 1 to 10")
	s.Uint64Var(&req.Seed, "seed", 0, "decides the chance (default drawn)")
	s.BoolVar(&asJSON, "json", false, "print JSON with every item")
	return c
}
