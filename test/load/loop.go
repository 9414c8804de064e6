package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

var loopArm = regexp.MustCompile(`loop: (product|frozen|naive): second half automated ([\d.]+) % of (\d+), true error ([\d.]+) %; (\d+) models, (\d+) labels, (\d+) audits`)

// measureLoop lets 20,000 inquiries arrive at the built product, once with people who say what the data says and once with people who err in 3 % and of whom two judge each item, and takes the figures from the test that gates them.
func measureLoop(ctx context.Context, b *bench) error {
	for _, wrong := range []string{"0", "0.03"} {
		out, failed := goTestWith(ctx, []string{"SWITCHYARD_FIGURE_LOOP=" + wrong}, "-timeout", "60m", "-run", "TestFigureTheLoop", "-v", "./test/e2e")
		arms := loopArm.FindAllStringSubmatch(out, -1)
		if len(arms) != 3 {
			return errors.Join(failed, errors.New("the test printed no arms"))
		}
		for _, m := range arms {
			share, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				return err
			}
			e, err := strconv.ParseFloat(m[4], 64)
			if err != nil {
				return err
			}
			r := row{
				what:     fmt.Sprintf("loop on it_tickets, 20,000 inquiries, 5 %% audited, %s: automated over the second half (true error), %s", map[string]string{"0": "people err in 0 %", "0.03": "people err in 3 %, two judge each item"}[wrong], m[1]),
				measured: fmt.Sprintf("%.1f %% (%.2f %%)", share, e), basis: m[5] + " models, " + m[6] + " labels, " + m[7] + " audits",
				command: "make bench ONLY=loop",
			}
			if m[1] == "product" && wrong == "0" {
				r.figure, r.met = "≥ 60 % (≤ 5 %)", share >= 60 && e <= 5
			}
			b.table.add(r)
		}
	}
	return nil
}
