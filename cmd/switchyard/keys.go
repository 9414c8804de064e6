package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
)

func newKeys() *cobra.Command {
	c := &cobra.Command{Use: "keys", Short: "Make, list, rotate and revoke API keys"}
	c.AddCommand(newKeysCreate(), newKeysList(), newKeysRotate(), newKeysRevoke())
	return c
}

func newKeysCreate() *cobra.Command {
	var client clientFlags
	var scopes []string
	var lifetime time.Duration
	c := &cobra.Command{
		Use:     "create NAME",
		Short:   "Make a key; it is shown once",
		Example: "  switchyard keys create shop --scope moderation:decide --scope routing:decide --lifetime 2160h",
		Long:    "Make a key of the project that the calling key belongs to.\n\nScopes: " + strings.Join(auth.Scopes, ", ") + ", or * for everything in the project.",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			conn, done, err := client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			req := &identityv1.CreateKeyRequest{Name: args[0], Scopes: scopes}
			if lifetime > 0 {
				req.Lifetime = durationpb.New(lifetime)
			}
			r, err := identityv1.NewIdentityServiceClient(conn).CreateKey(c.Context(), req)
			if err != nil {
				return err
			}
			return showSecret(c, r.GetKey(), r.GetSecret())
		},
	}
	client.register(c)
	c.Flags().StringSliceVar(&scopes, "scope", nil, "what the key may do; repeat for several")
	c.Flags().DurationVar(&lifetime, "lifetime", 0, "how long the key is valid; for ever when 0")
	_ = c.MarkFlagRequired("scope")
	return c
}

// showSecret prints the key alone on standard output, so that it can be piped, and the rest beside it.
func showSecret(c *cobra.Command, k *identityv1.Key, secret string) error {
	fmt.Fprintf(c.ErrOrStderr(), "key %s of project %s; this is the only time that it is shown:\n", k.GetKeyId(), k.GetProject())
	_, err := fmt.Fprintln(c.OutOrStdout(), secret)
	return err
}

func newKeysList() *cobra.Command {
	var client clientFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the keys of the project, newest first",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conn, done, err := client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			all, err := allKeys(c, identityv1.NewIdentityServiceClient(conn))
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), all)
			}
			rows := make([][]string, 0, len(all.GetKeys()))
			for _, k := range all.GetKeys() {
				rows = append(rows, []string{k.GetKeyId(), k.GetName(), strings.Join(k.GetScopes(), " "), keyState(k, time.Now()), when(k.GetLastUsedTime())})
			}
			return table(c.OutOrStdout(), []string{"KEY", "NAME", "SCOPES", "STATE", "LAST USED"}, rows)
		},
	}
	client.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func allKeys(c *cobra.Command, client identityv1.IdentityServiceClient) (*identityv1.ListKeysResponse, error) {
	all := &identityv1.ListKeysResponse{}
	page := &commonv1.PageRequest{Size: 500}
	for {
		r, err := client.ListKeys(c.Context(), &identityv1.ListKeysRequest{Page: page})
		if err != nil {
			return nil, err
		}
		all.Keys = append(all.Keys, r.GetKeys()...)
		if page.Token = r.GetPage().GetNextToken(); page.Token == "" {
			return all, nil
		}
	}
}

func keyState(k *identityv1.Key, now time.Time) string {
	switch {
	case k.GetRevokeTime() != nil:
		return "revoked " + when(k.GetRevokeTime())
	case k.GetExpireTime() == nil:
		return "valid"
	case k.GetExpireTime().AsTime().Before(now):
		return "expired " + when(k.GetExpireTime())
	}
	return "valid until " + when(k.GetExpireTime())
}

func when(t *timestamppb.Timestamp) string {
	if t == nil {
		return "never"
	}
	return t.AsTime().UTC().Format("2006-01-02 15:04")
}

func newKeysRotate() *cobra.Command {
	var client clientFlags
	var grace time.Duration
	c := &cobra.Command{
		Use:   "rotate KEY_ID",
		Short: "Make a new key in place of an old one, which stays valid for a while",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			conn, done, err := client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			r, err := identityv1.NewIdentityServiceClient(conn).RotateKey(c.Context(),
				&identityv1.RotateKeyRequest{KeyId: args[0], Grace: durationpb.New(grace)})
			if err != nil {
				return err
			}
			return showSecret(c, r.GetKey(), r.GetSecret())
		},
	}
	client.register(c)
	c.Flags().DurationVar(&grace, "grace", 24*time.Hour, "how long the old key stays valid")
	return c
}

func newKeysRevoke() *cobra.Command {
	var client clientFlags
	c := &cobra.Command{
		Use:   "revoke KEY_ID",
		Short: "Make a key invalid at once",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			conn, done, err := client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			r, err := identityv1.NewIdentityServiceClient(conn).RevokeKey(c.Context(), &identityv1.RevokeKeyRequest{KeyId: args[0]})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "key %s is revoked\n", r.GetKey().GetKeyId())
			return err
		},
	}
	client.register(c)
	return c
}
