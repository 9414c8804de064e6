package pace

import (
	"sync"
	"testing"
	"time"
)

func TestWorkStandsAsideWhileACallerWaits(t *testing.T) {
	t.Parallel()
	var p Pace
	p.Enter()
	p.Enter()
	went := make(chan time.Duration, 1)
	began := time.Now()
	go func() {
		p.GiveWay()
		went <- time.Since(began)
	}()
	time.Sleep(200 * time.Microsecond)
	p.Leave()
	p.Leave()
	if d := <-went; d < 150*time.Microsecond {
		t.Errorf("it went on after %v, while somebody waited", d)
	}
}

func TestWorkGoesOnAlthoughSomebodyAlwaysWaits(t *testing.T) {
	t.Parallel()
	var p Pace
	p.Enter()
	began, pieces := time.Now(), 0
	for time.Since(began) < 100*time.Millisecond {
		p.GiveWay()
		pieces++
	}
	if pieces < 100 {
		t.Errorf("only %d pieces were done in 100 ms", pieces)
	}
	p.Leave()
	began = time.Now()
	for range 1000 {
		p.GiveWay()
	}
	if d := time.Since(began); d > time.Second {
		t.Errorf("1,000 pieces took %v although nobody waits", d)
	}
}

func TestNobodyWaitsForEver(t *testing.T) {
	t.Parallel()
	var p Pace
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 2000 {
				p.Enter()
				p.Leave()
			}
		})
		wg.Go(func() {
			for range 2000 {
				p.GiveWay()
			}
		})
	}
	wg.Wait()
	var none *Pace
	none.Enter()
	none.GiveWay()
	none.Leave()
}
