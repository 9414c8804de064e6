package main

import "testing"

func TestOnlyPagesOfTheProgramThatAreNeverWrittenAreGivenBack(t *testing.T) {
	t.Parallel()
	const self = "/usr/bin/switchyard"
	for line, want := range map[string]uintptr{
		"00400000-01da9000 r-xp 00000000 fe:00 1234                               /usr/bin/switchyard": 0x19a9000,
		"01da9000-03b7d000 r--p 019a9000 fe:00 1234                               /usr/bin/switchyard": 0x1dd4000,
		"03b7d000-03cfb000 rw-p 0377d000 fe:00 1234                               /usr/bin/switchyard": 0,
		"7fc158c00000-7fc159121000 r--s 00000000 fe:00 99                         /var/lib/model":      0,
		"2b60c3800000-2b60f4400000 rw-p 00000000 00:00 0":                                              0,
		"01da9000 r--p 0 fe:00 1 /usr/bin/switchyard":                                                  0,
		"03b7d000-01da9000 r--p 0 fe:00 1 /usr/bin/switchyard":                                         0,
		"": 0,
	} {
		if _, size, ok := programPages([]byte(line), []byte(self), false); size != want || ok != (want > 0) {
			t.Errorf("%s: %x, %v", line, size, ok)
		}
	}
	if _, _, ok := programPages([]byte("01da9000-03b7d000 r--p 019a9000 fe:00 1234 /usr/bin/switchyard"), []byte(self), true); ok {
		t.Error("constants of a movable program would lose the addresses that the loader wrote among them")
	}
	settle() // and the program goes on
	settle()
}
