package identity

import (
	"context"
	"errors"
	"regexp"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

var projectName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// GetCaller describes the key that calls.
func (s *Service) GetCaller(ctx context.Context, _ *identityv1.GetCallerRequest) (*identityv1.GetCallerResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if e := s.known.get(c.KeyID); e != nil && e.key.project == c.Project {
		return &identityv1.GetCallerResponse{Key: s.message(e.key)}, nil
	}
	return &identityv1.GetCallerResponse{Key: &identityv1.Key{ // the system, which has no key
		KeyId: c.KeyID, Project: c.Project, Name: c.KeyName, Scopes: c.Scopes,
	}}, nil
}

// CreateProject makes a project and its first key.
func (s *Service) CreateProject(ctx context.Context, req *identityv1.CreateProjectRequest) (*identityv1.CreateProjectResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if !projectName.MatchString(req.GetName()) {
		return nil, fault.InvalidField("name", "must be 1 to 40 of a-z, 0-9 and -, beginning with a letter")
	}
	k, secret, err := s.newKey(req.GetName(), "first key", []string{wildcard}, time.Time{})
	if err != nil {
		return nil, err
	}
	res := &identityv1.CreateProjectResponse{
		Project: &identityv1.Project{Name: k.project, CreateTime: timestamp(k.created)}, Key: k.message(), Secret: secret,
	}
	err = s.insert(ctx, k, func(tx *db.Tx) (*key, error) {
		n, err := s.store.countProjects(tx)
		if err != nil {
			return nil, err
		}
		if n >= s.config.MaxProjects {
			return nil, fault.QuotaExceeded("projects", int64(s.config.MaxProjects))
		}
		err = s.store.addProject(tx, req.GetName(), k.created)
		if errors.Is(err, db.ErrConflict) {
			err = fault.AlreadyExists("project", req.GetName())
		}
		return nil, err
	}, func() proto.Message { return res })
	if err != nil {
		return nil, err
	}
	s.log.InfoContext(ctx, "project created", "project", k.project, "key", k.id, "by", c.KeyID)
	return res, nil
}

// ListProjects lists the projects by name.
func (s *Service) ListProjects(ctx context.Context, req *identityv1.ListProjectsRequest) (*identityv1.ListProjectsResponse, error) {
	token, _, err := db.ParseToken(req.GetPage().GetToken(), "projects", "", 1)
	if err != nil {
		return nil, err
	}
	after := ""
	if len(token) > 0 {
		after = token[0]
	}
	var rows []project
	var more bool
	err = s.store.db.View(ctx, func(tx *db.Tx) (err error) {
		rows, more, err = s.store.projects(tx, after, db.PageSize(req.GetPage().GetSize()))
		return err
	})
	if err != nil {
		return nil, err
	}
	res := &identityv1.ListProjectsResponse{Page: &commonv1.PageResponse{}}
	for _, p := range rows {
		res.Projects = append(res.Projects, &identityv1.Project{Name: p.name, CreateTime: timestamppb.New(p.created)})
	}
	if more {
		res.Page.NextToken = db.Token("projects", "", rows[len(rows)-1].name)
	}
	return res, nil
}
