package app

import (
	"github.com/switchyard-ai/switchyard/internal/cloudevent"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/outbox"
	"github.com/switchyard-ai/switchyard/services/models"
)

// emitChange tells others of a change of a deployment.
func emitChange(tx *db.Tx, e models.Event) error {
	return outbox.Put(tx, outbox.Event{
		Project: e.Project, Kind: models.ChangeEvents, ID: e.ID, Message: e.Message,
		Attributes: cloudevent.Attributes{Time: e.Time, Subject: e.Operation + "/" + e.Deployment, Operation: e.Operation, Deployment: e.Deployment},
	})
}
