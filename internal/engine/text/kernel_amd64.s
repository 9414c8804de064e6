#include "textflag.h"

// ROW sets DI to the row of the id at (SI) in units of stride DX: DI = BX + id*DX.
#define ROW \
	MOVL (SI), DI  \
	IMULQ DX, DI   \
	ADDQ BX, DI

#define MULADD(offset, acc, tmp) \
	VMULPS offset(DI), Y15, tmp \
	VADDPS tmp, acc, acc

// func gather64(acc, w *float32, stride uintptr, ids *uint32, vals *float32, n int)
TEXT ·gather64(SB), NOSPLIT, $0-48
	MOVQ acc+0(FP), AX
	MOVQ w+8(FP), BX
	MOVQ stride+16(FP), DX
	MOVQ ids+24(FP), SI
	MOVQ vals+32(FP), R8
	MOVQ n+40(FP), CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
gather64loop:
	ROW
	VBROADCASTSS (R8), Y15
	MULADD(0, Y0, Y8)
	MULADD(32, Y1, Y9)
	MULADD(64, Y2, Y10)
	MULADD(96, Y3, Y11)
	MULADD(128, Y4, Y12)
	MULADD(160, Y5, Y13)
	MULADD(192, Y6, Y14)
	MULADD(224, Y7, Y8)
	ADDQ $4, SI
	ADDQ $4, R8
	DECQ CX
	JNZ  gather64loop
	VMOVUPS Y0, (AX)
	VMOVUPS Y1, 32(AX)
	VMOVUPS Y2, 64(AX)
	VMOVUPS Y3, 96(AX)
	VMOVUPS Y4, 128(AX)
	VMOVUPS Y5, 160(AX)
	VMOVUPS Y6, 192(AX)
	VMOVUPS Y7, 224(AX)
	VZEROUPPER
	RET

// func gather8(acc, w *float32, stride uintptr, ids *uint32, vals *float32, n int)
TEXT ·gather8(SB), NOSPLIT, $0-48
	MOVQ acc+0(FP), AX
	MOVQ w+8(FP), BX
	MOVQ stride+16(FP), DX
	MOVQ ids+24(FP), SI
	MOVQ vals+32(FP), R8
	MOVQ n+40(FP), CX
	VXORPS Y0, Y0, Y0
gather8loop:
	ROW
	VBROADCASTSS (R8), Y15
	MULADD(0, Y0, Y8)
	ADDQ $4, SI
	ADDQ $4, R8
	DECQ CX
	JNZ  gather8loop
	VMOVUPS Y0, (AX)
	VZEROUPPER
	RET

#define UPDATE(offset, g, tmp) \
	VMULPS g, Y15, tmp           \
	VADDPS offset(DI), tmp, tmp  \
	VMOVUPS tmp, offset(DI)

// func scatter32(w, grad *float32, stride uintptr, ids *uint32, vals *float32, n int)
TEXT ·scatter32(SB), NOSPLIT, $0-48
	MOVQ w+0(FP), BX
	MOVQ grad+8(FP), AX
	MOVQ stride+16(FP), DX
	MOVQ ids+24(FP), SI
	MOVQ vals+32(FP), R8
	MOVQ n+40(FP), CX
	VMOVUPS (AX), Y0
	VMOVUPS 32(AX), Y1
	VMOVUPS 64(AX), Y2
	VMOVUPS 96(AX), Y3
scatter32loop:
	ROW
	VBROADCASTSS (R8), Y15
	UPDATE(0, Y0, Y8)
	UPDATE(32, Y1, Y9)
	UPDATE(64, Y2, Y10)
	UPDATE(96, Y3, Y11)
	ADDQ $4, SI
	ADDQ $4, R8
	DECQ CX
	JNZ  scatter32loop
	VZEROUPPER
	RET

// func scatter8(w, grad *float32, stride uintptr, ids *uint32, vals *float32, n int)
TEXT ·scatter8(SB), NOSPLIT, $0-48
	MOVQ w+0(FP), BX
	MOVQ grad+8(FP), AX
	MOVQ stride+16(FP), DX
	MOVQ ids+24(FP), SI
	MOVQ vals+32(FP), R8
	MOVQ n+40(FP), CX
	VMOVUPS (AX), Y0
scatter8loop:
	ROW
	VBROADCASTSS (R8), Y15
	UPDATE(0, Y0, Y8)
	ADDQ $4, SI
	ADDQ $4, R8
	DECQ CX
	JNZ  scatter8loop
	VZEROUPPER
	RET

// ADDROW adds 16 int8 weights at offset, times the count in Y15, to the 16-bit sums in acc.
#define ADDROW(offset, acc, tmp) \
	VPMOVSXBW offset(DI), tmp  \
	VPMULLW tmp, Y15, tmp      \
	VPADDW tmp, acc, acc

// FLUSH adds the 16-bit sums in y (whose lower half is x) to 16 32-bit sums at offset and offset2.
#define FLUSH(offset, offset2, y, x) \
	VPMOVSXWD x, Y12               \
	VEXTRACTI128 $1, y, X13        \
	VPMOVSXWD X13, Y13             \
	VPADDD offset(AX), Y12, Y12    \
	VPADDD offset2(AX), Y13, Y13 \
	VMOVDQU Y12, offset(AX)        \
	VMOVDQU Y13, offset2(AX)

#define GRAM \
	ROW                      \
	VPBROADCASTW 4(SI), Y15

// func accumulate128(acc *int32, w *byte, stride uintptr, grams *gram, n int)
TEXT ·accumulate128(SB), NOSPLIT, $0-40
	MOVQ acc+0(FP), AX
	MOVQ w+8(FP), BX
	MOVQ stride+16(FP), DX
	MOVQ grams+24(FP), SI
	MOVQ n+32(FP), CX
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	VPXOR Y4, Y4, Y4
	VPXOR Y5, Y5, Y5
	VPXOR Y6, Y6, Y6
	VPXOR Y7, Y7, Y7
accumulate128loop:
	GRAM
	ADDROW(0, Y0, Y8)
	ADDROW(16, Y1, Y9)
	ADDROW(32, Y2, Y10)
	ADDROW(48, Y3, Y11)
	ADDROW(64, Y4, Y8)
	ADDROW(80, Y5, Y9)
	ADDROW(96, Y6, Y10)
	ADDROW(112, Y7, Y11)
	ADDQ $8, SI
	DECQ CX
	JNZ  accumulate128loop
	FLUSH(0, 32, Y0, X0)
	FLUSH(64, 96, Y1, X1)
	FLUSH(128, 160, Y2, X2)
	FLUSH(192, 224, Y3, X3)
	FLUSH(256, 288, Y4, X4)
	FLUSH(320, 352, Y5, X5)
	FLUSH(384, 416, Y6, X6)
	FLUSH(448, 480, Y7, X7)
	VZEROUPPER
	RET

// func accumulate64(acc *int32, w *byte, stride uintptr, grams *gram, n int)
TEXT ·accumulate64(SB), NOSPLIT, $0-40
	MOVQ acc+0(FP), AX
	MOVQ w+8(FP), BX
	MOVQ stride+16(FP), DX
	MOVQ grams+24(FP), SI
	MOVQ n+32(FP), CX
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
accumulate64loop:
	GRAM
	ADDROW(0, Y0, Y8)
	ADDROW(16, Y1, Y9)
	ADDROW(32, Y2, Y10)
	ADDROW(48, Y3, Y11)
	ADDQ $8, SI
	DECQ CX
	JNZ  accumulate64loop
	FLUSH(0, 32, Y0, X0)
	FLUSH(64, 96, Y1, X1)
	FLUSH(128, 160, Y2, X2)
	FLUSH(192, 224, Y3, X3)
	VZEROUPPER
	RET

// func accumulate16(acc *int32, w *byte, stride uintptr, grams *gram, n int)
TEXT ·accumulate16(SB), NOSPLIT, $0-40
	MOVQ acc+0(FP), AX
	MOVQ w+8(FP), BX
	MOVQ stride+16(FP), DX
	MOVQ grams+24(FP), SI
	MOVQ n+32(FP), CX
	VPXOR Y0, Y0, Y0
accumulate16loop:
	GRAM
	ADDROW(0, Y0, Y8)
	ADDQ $8, SI
	DECQ CX
	JNZ  accumulate16loop
	FLUSH(0, 32, Y0, X0)
	VZEROUPPER
	RET

// func prefetch(w *byte, stride uintptr, grams *gram, n int)
TEXT ·prefetch(SB), NOSPLIT, $0-32
	MOVQ w+0(FP), BX
	MOVQ stride+8(FP), DX
	MOVQ grams+16(FP), SI
	MOVQ n+24(FP), CX
prefetchrow:
	ROW
	LEAQ (DI)(DX*1), R9
prefetchline:
	PREFETCHT0 (DI)
	ADDQ $64, DI
	CMPQ DI, R9
	JLT  prefetchline
	PREFETCHT0 -1(R9)
	ADDQ $8, SI
	DECQ CX
	JNZ  prefetchrow
	RET
