package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
)

func newModelsAlias() *cobra.Command {
	var client clientFlags
	var asJSON bool
	req := &modelsv1.SetAliasRequest{}
	c := &cobra.Command{
		Use:   "alias MODEL [ALIAS [VERSION]]",
		Short: "Let a name stand for a version, or list the names",
		Long: `Let a name such as "candidate" or "last-good" stand for a version of a model, for another one, or with --delete for none. Versions can be named by it from then on, here as MODEL@ALIAS. What is deployed
stays when the alias moves on. Without a version, the aliases are listed. VERSION is a number or another alias.`,
		Example: `  switchyard models alias support candidate 7 --reason "best of the search"
  switchyard models alias support last-good candidate
  switchyard deployments try routing/support candidate
  switchyard models alias support candidate --delete
  switchyard models alias support`,
		Args: cobra.RangeArgs(1, 3),
		RunE: func(c *cobra.Command, args []string) error {
			if req.GetDelete() && len(args) != 2 {
				return usagef("--delete takes a model and an alias")
			}
			conn, done, err := client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			models := modelsv1.NewModelServiceClient(conn)
			if len(args) < 3 && !req.GetDelete() {
				return listAliases(c, models, args, asJSON)
			}
			req.Model, req.Alias = args[0], args[1]
			if len(args) == 3 {
				if req.Model, req.Version, err = versionIn(args[0], args[2]); err != nil {
					return err
				}
			}
			now, err := aliasesOf(c.Context(), models, args[0])
			if err != nil {
				return err
			}
			for _, a := range now {
				if a.GetName() == req.GetAlias() {
					req.ExpectedRevision = a.GetRevision()
				}
			}
			res, err := models.SetAlias(c.Context(), req)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), res)
			}
			return showAliases(c, []*modelsv1.ModelAlias{res.GetAlias()})
		},
	}
	client.register(c)
	c.Flags().StringVar(&req.Reason, "reason", "", "why; it stays in the history")
	c.Flags().BoolVar(&req.Delete, "delete", false, "let the alias stand for no version any more")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// versionIn reads a version of a model as people write it: its number, or an alias.
func versionIn(model, s string) (string, int32, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	switch {
	case err == nil && n < 1:
		return "", 0, usagef("version %q: numbers begin at 1", s)
	case err == nil:
		return model, int32(n), nil
	}
	return model + "@" + strings.TrimPrefix(s, model+"@"), 0, nil
}

// aliasesOf reads the aliases of a model, by name.
func aliasesOf(ctx context.Context, models modelsv1.ModelServiceClient, name string) ([]*modelsv1.ModelAlias, error) {
	req := &modelsv1.ListModelsRequest{Page: &commonv1.PageRequest{Size: 500}}
	for {
		res, err := models.ListModels(ctx, req)
		if err != nil {
			return nil, err
		}
		for _, m := range res.GetModels() {
			if m.GetName() == name {
				return m.GetAliases(), nil
			}
		}
		if req.Page.Token = res.GetPage().GetNextToken(); req.Page.Token == "" {
			return nil, nil
		}
	}
}

func listAliases(c *cobra.Command, models modelsv1.ModelServiceClient, args []string, asJSON bool) error {
	all, err := aliasesOf(c.Context(), models, args[0])
	if err != nil {
		return err
	}
	if len(args) == 2 {
		all = slices.DeleteFunc(all, func(a *modelsv1.ModelAlias) bool { return a.GetName() != args[1] })
	}
	if asJSON {
		return writeJSON(c.OutOrStdout(), &modelsv1.Model{Name: args[0], Aliases: all})
	}
	return showAliases(c, all)
}

func showAliases(c *cobra.Command, all []*modelsv1.ModelAlias) error {
	rows := make([][]string, 0, len(all))
	for _, a := range all {
		version := "none"
		if a.GetVersion() > 0 {
			version = fmt.Sprint("version ", a.GetVersion())
		}
		rows = append(rows, []string{a.GetModel() + "@" + a.GetName(), version, when(a.GetUpdateTime()), strconv.FormatInt(a.GetRevision(), 10)})
	}
	return table(c.OutOrStdout(), []string{"ALIAS", "STANDS FOR", "SINCE", "REVISION"}, rows)
}

func newModelsTag() *cobra.Command {
	var client clientFlags
	var asJSON bool
	var notes string
	var where []string
	req := &modelsv1.TagVersionRequest{Tags: map[string]string{}}
	c := &cobra.Command{
		Use:   "tag MODEL [VERSION [KEY=VALUE...]]",
		Short: "Note something about a version, or find versions by what is noted",
		Long: `Set and remove tags of a version, and its notes. They say what people think of it; the version and its digest stay as they are. With a model alone, its versions are listed with what is noted about them;
--where lists those that have a tag.`,
		Example: `  switchyard models tag support 7 data=march reviewed-by=ann --notes "trained after the move"
  switchyard models tag support candidate --remove reviewed-by
  switchyard models tag support --where data=march`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			conn, done, err := client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			models := modelsv1.NewModelServiceClient(conn)
			if len(args) == 1 {
				return listTagged(c, models, args[0], where, asJSON)
			}
			if len(where) > 0 {
				return usagef("--where takes a model alone")
			}
			if req.Model, req.Version, err = versionIn(args[0], args[1]); err != nil {
				return err
			}
			for _, tag := range args[2:] {
				key, value, ok := strings.Cut(tag, "=")
				if !ok {
					return usagef("tag %q: write KEY=VALUE", tag)
				}
				req.Tags[key] = value
			}
			if c.Flags().Changed("notes") {
				req.Notes = &notes
			}
			res, err := models.TagVersion(c.Context(), req)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), res)
			}
			return showTagged(c, []*modelsv1.ModelVersion{res.GetVersion()})
		},
	}
	client.register(c)
	c.Flags().StringArrayVar(&req.RemoveTags, "remove", nil, "key of a tag to remove; may be repeated")
	c.Flags().StringVar(&notes, "notes", "", "new notes; empty removes them")
	c.Flags().StringVar(&req.Reason, "reason", "", "why; it stays in the history")
	c.Flags().StringArrayVar(&where, "where", nil, "list only versions with this tag, KEY or KEY=VALUE; may be repeated")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func listTagged(c *cobra.Command, models modelsv1.ModelServiceClient, model string, where []string, asJSON bool) error {
	all := &modelsv1.ListVersionsResponse{}
	req := &modelsv1.ListVersionsRequest{Model: model, Tags: where, Page: &commonv1.PageRequest{Size: 500}}
	for {
		res, err := models.ListVersions(c.Context(), req)
		if err != nil {
			return err
		}
		all.Versions = append(all.Versions, res.GetVersions()...)
		if req.Page.Token = res.GetPage().GetNextToken(); req.Page.Token == "" {
			break
		}
	}
	if asJSON {
		return writeJSON(c.OutOrStdout(), all)
	}
	return showTagged(c, all.GetVersions())
}

func showTagged(c *cobra.Command, versions []*modelsv1.ModelVersion) error {
	rows := make([][]string, 0, len(versions))
	for _, v := range versions {
		var tags []string
		for _, key := range slices.Sorted(maps.Keys(v.GetTags())) {
			tags = append(tags, key+"="+v.GetTags()[key])
		}
		rows = append(rows, []string{
			answering(v.GetModel(), v.GetVersion()), when(v.GetCreateTime()), strings.Join(v.GetAliases(), ", "), strings.Join(tags, ", "), quote(v.GetNotes()),
		})
	}
	return table(c.OutOrStdout(), []string{"VERSION", "REGISTERED", "ALIASES", "TAGS", "NOTES"}, rows)
}
