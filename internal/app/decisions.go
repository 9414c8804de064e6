package app

import (
	"context"

	"github.com/switchyard-ai/switchyard/internal/ledger"
	"github.com/switchyard-ai/switchyard/services/decisions"
)

// startReading starts the service that reads decisions back.
func (a *App) startReading(context.Context) error {
	if !a.config.runs("decisions") {
		return nil
	}
	var places ledger.Places
	if a.journal != nil {
		places = append(places, ledger.Journal{Journal: a.journal})
	}
	places = append(places, ledger.Stream{Bus: a.bus})
	decisions.New(decisions.Deps{Records: places}).Register(a.server)
	return nil
}
