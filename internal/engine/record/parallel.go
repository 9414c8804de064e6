package record

import (
	"sync"
	"sync/atomic"

	"github.com/switchyard-ai/switchyard/internal/cores"
)

// chunkRows is the number of rows whose sums are added up together. It is fixed: sums of floating-point numbers depend on
// their order, and the order must not depend on the number of cores.
const chunkRows = 4096

func workers(n int) int {
	if n > 0 {
		return n
	}
	return cores.Count()
}

// each calls f for 0 to n-1 on that many goroutines and waits for all. f must write only what belongs to its index.
func each(workers, n int, f func(i int)) {
	workers = min(workers, n)
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	work := func() {
		for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
			f(int(i))
		}
	}
	for range workers - 1 {
		wait.Go(work)
	}
	work()
	wait.Wait()
}

// chunks calls f for consecutive ranges of chunkRows rows and returns the sum of the results, added in order.
func chunks(workers, rows int, f func(from, to int) float64) float64 {
	return chunkSum(workers, rows, chunkRows, f)
}

func chunkSum(workers, n, size int, f func(from, to int) float64) float64 {
	sums := make([]float64, (n+size-1)/size)
	each(workers, len(sums), func(i int) {
		sums[i] = f(i*size, min(n, (i+1)*size))
	})
	total := 0.0
	for _, s := range sums {
		total += s
	}
	return total
}
