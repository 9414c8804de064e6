package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var (
	livePromise = regexp.MustCompile(`promise: (.+): (certified|naive), (.+): live error above 5 % in ([\d.]+) % of (\d+) deployments, automated ([\d.]+) %`)
	liveDrift   = regexp.MustCompile(`drift: (.+), promise (\d+) %: automated .* worse side ([\d.]+) % before and ([\d.]+) % after; of (\d+) streams stopped (\d+) before, (\d+) within (\d+) audits after \(median (\d+)\), (\d+) within (\d+); (\d+) kept`)
)

// measureLivePromise takes the figures of promises under erring reviewers and of drifts from the tests that gate them, with all 200 deployments and streams.
func (b *bench) measureLivePromise(ctx context.Context) error {
	const command = "SWITCHYARD_FIGURES=full go test -run 'TestFigurePromiseUnderReviewers|TestFigureDrift' -v ./internal/engine/fit"
	out, failed := goTestWith(ctx, []string{"SWITCHYARD_FIGURES=full"}, "-timeout", "30m", "-run", "TestFigurePromiseUnderReviewers|TestFigureDrift", "-v", "./internal/engine/fit")
	promises, drifts := livePromise.FindAllStringSubmatch(out, -1), liveDrift.FindAllStringSubmatch(out, -1)
	if len(promises) == 0 || len(drifts) == 0 {
		return errors.Join(failed, errors.New("the test printed no shares"))
	}
	if err := b.addPromises(promises, command); err != nil {
		return err
	}
	return b.addDrifts(drifts, command)
}

func (b *bench) addPromises(found [][]string, command string) error {
	for _, m := range found {
		broken, err := strconv.ParseFloat(m[4], 64)
		if err != nil {
			return err
		}
		r := row{
			what: fmt.Sprintf("live error above 5 %% in simulated deployments of %s, reviewers 97 %% accurate: %s, %s", m[1], m[2], m[3]), measured: m[4] + " %",
			basis: m[5] + " deployments, automated " + m[6] + " %", command: command,
		}
		if m[2] == "certified" {
			r.figure, r.met = "≤ 5 % + 4.6 % sampling error", broken <= 9.6
		}
		b.table.add(r)
	}
	return nil
}

func (b *bench) addDrifts(found [][]string, command string) error {
	for _, m := range found {
		n := make([]int, len(m))
		for i := 5; i < len(m); i++ {
			var err error
			if n[i], err = strconv.Atoi(m[i]); err != nil {
				return err
			}
		}
		streams, early, within, kept := n[5], n[6], n[7], n[12]
		r := row{
			what: "automation stopped within 400 audits, " + m[1], measured: fmt.Sprintf("%.1f %%", 100*float64(within)/float64(max(1, streams-kept))),
			basis: fmt.Sprintf("promise %s %%, error of the worse side %s %% before and %s %% after; %d streams that broke it, median %s audits, %s within %s", m[2], m[3], m[4], streams-kept, m[9], m[10], m[11]), command: command,
		}
		switch {
		case strings.Contains(m[1], "no drift"):
			stops := 100 * float64(early+n[10]) / float64(streams)
			r.what, r.measured, r.figure, r.met = "automation stopped, "+m[1], fmt.Sprintf("%.1f %%", stops), "≤ 5 %", stops <= 5
			r.basis = fmt.Sprintf("promise %s %%, %d streams of 1,200 audits", m[2], streams)
		case !strings.Contains(m[1], "banking"): // that one informs: its error is hardly above the promise
			r.figure, r.met = "100 %", within == streams-kept
		}
		b.table.add(r)
	}
	return nil
}
