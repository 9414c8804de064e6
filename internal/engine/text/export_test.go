package text

import "context"

// FloatAccuracy trains and returns the share of test rows, in percent, that the weights get right before they are quantised.
func FloatAccuracy(rows, test []Row, labels int, s Settings) (float64, error) {
	s.L2 /= float64(len(rows))
	s.MaxEpochs = max(epochRows/len(rows), minEpochs)
	t := newTrainer(s, rows, nil, labels)
	if err := t.run(context.Background(), nil); err != nil {
		return 0, err
	}
	t.valid, t.check = test, readRows(test, s.Buckets)
	t.check.finish(&t.scorer)
	_, right := t.evaluate()
	return 100 * right, nil
}
