package text

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

var fast = cpu.X86.HasAVX2

// The functions below handle one stripe of labels; stride is the length of a row in bytes.

//go:noescape
func gather64(acc, w *float32, stride uintptr, ids *uint32, vals *float32, n int)

//go:noescape
func gather8(acc, w *float32, stride uintptr, ids *uint32, vals *float32, n int)

//go:noescape
func scatter32(w, grad *float32, stride uintptr, ids *uint32, vals *float32, n int)

//go:noescape
func scatter8(w, grad *float32, stride uintptr, ids *uint32, vals *float32, n int)

//go:noescape
func accumulate128(acc *int32, w *byte, stride uintptr, grams *gram, n int)

//go:noescape
func accumulate64(acc *int32, w *byte, stride uintptr, grams *gram, n int)

//go:noescape
func accumulate16(acc *int32, w *byte, stride uintptr, grams *gram, n int)

//go:noescape
func prefetch(w *byte, stride uintptr, grams *gram, n int)

func gatherFast(acc, w []float32, ids []uint32, vals []float32) {
	stride, l := uintptr(len(acc))*4, 0
	for ; l+64 <= len(acc); l += 64 {
		gather64(&acc[l], &w[l], stride, &ids[0], &vals[0], len(ids))
	}
	for ; l < len(acc); l += 8 {
		gather8(&acc[l], &w[l], stride, &ids[0], &vals[0], len(ids))
	}
}

func scatterFast(w, g []float32, ids []uint32, vals []float32) {
	stride, l := uintptr(len(g))*4, 0
	for l < len(g) {
		switch {
		case zeroes(g[l : l+8]):
			l += 8
		case l+32 <= len(g) && !zeroes(g[l+8:l+16]) && !zeroes(g[l+16:l+24]) && !zeroes(g[l+24:l+32]):
			scatter32(&w[l], &g[l], stride, &ids[0], &vals[0], len(ids))
			l += 32
		default:
			scatter8(&w[l], &g[l], stride, &ids[0], &vals[0], len(ids))
			l += 8
		}
	}
}

// accumulateFast is told how many grams follow in memory, so that it may fetch their rows ahead of time.
func accumulateFast(acc []int32, w []byte, grams []gram, following int) {
	stride, l := uintptr(len(acc)), 0
	if ahead := min(following, prefetchAhead); ahead > 0 && len(acc) <= 512 {
		next := unsafe.Slice(&grams[0], len(grams)+ahead)[len(grams):]
		prefetch(&w[0], stride, &next[0], len(next))
	}
	for ; l+128 <= len(acc); l += 128 {
		accumulate128(&acc[l], &w[l], stride, &grams[0], len(grams))
	}
	for ; l+64 <= len(acc); l += 64 {
		accumulate64(&acc[l], &w[l], stride, &grams[0], len(grams))
	}
	for ; l < len(acc); l += 16 {
		accumulate16(&acc[l], &w[l], stride, &grams[0], len(grams))
	}
}

const prefetchAhead = 64
