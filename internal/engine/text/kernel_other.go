//go:build !amd64

package text

const fast = false

func gatherFast(acc, w []float32, ids []uint32, vals []float32) { gatherGo(acc, w, ids, vals) }

func scatterFast(w, g []float32, ids []uint32, vals []float32) { scatterGo(w, g, ids, vals) }

func accumulateFast(acc []int32, w []byte, grams []gram, following int) { accumulateGo(acc, w, grams) }
