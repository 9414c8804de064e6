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
	decisions.New(decisions.Deps{Records: a.records()}).Register(a.server)
	return nil
}

// records are the places where this process finds recorded decisions.
func (a *App) records() ledger.Places {
	var places ledger.Places
	if a.journal != nil {
		places = append(places, ledger.Journal{Journal: a.journal})
	}
	return append(places, ledger.Stream{Bus: a.bus})
}
