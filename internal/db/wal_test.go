package db_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/db"
)

// image is what a killed process leaves of a database: the file, the log and its index.
type image map[string][]byte

// transactions is how many a killed database has in its log; each inserts one row.
const transactions = 30

// killed runs transactions and returns the files as they lie on the disk while the process lives on, which is how they lie there when it is killed.
func killed(t *testing.T) image {
	t.Helper()
	path := filepath.Join(t.TempDir(), "live.db")
	d, err := db.Open(context.Background(), db.Default(path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if err := d.Migrate(context.Background(), "test", []string{`CREATE TABLE things (id BIGINT NOT NULL PRIMARY KEY, data BLOB NOT NULL)`}); err != nil {
		t.Fatal(err)
	}
	for i := range transactions {
		err := d.Tx(context.Background(), func(tx *db.Tx) error {
			_, err := tx.Exec(`INSERT INTO things (id, data) VALUES (?, ?)`, i, bytes.Repeat([]byte{byte(i)}, 6000))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	files := image{}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if files[suffix], err = os.ReadFile(path + suffix); err != nil {
			t.Fatal(err)
		}
	}
	// Behind them lie frames of a round before, as in a log that has begun anew.
	log := files["-wal"]
	for at := logHeader; at+frameSize <= len(log) && at < logHeader+20*frameSize; at += frameSize {
		frame := bytes.Clone(log[at : at+frameSize])
		binary.BigEndian.PutUint32(frame[8:], binary.BigEndian.Uint32(frame[8:])-1)
		files["-wal"] = append(files["-wal"], frame...)
	}
	return files
}

// write puts the files, some of them changed, into a folder of their own.
func (m image) write(t *testing.T, changed image) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "copy.db")
	for suffix, data := range m {
		if other, ok := changed[suffix]; ok {
			data = other
		}
		if data == nil {
			continue
		}
		if err := os.WriteFile(path+suffix, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// rows opens a database and counts the rows of the last round, and what the verification names.
func rows(t *testing.T, path string) (n int, problems []error, err error) {
	t.Helper()
	d, err := db.Open(t.Context(), db.Default(path))
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = d.Close() }()
	if problems, _, err = d.Verify(t.Context()); err != nil {
		return 0, problems, err
	}
	err = d.View(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Get(`SELECT count(*) FROM things WHERE id >= 0`, nil, &n)
		return err
	})
	return n, problems, err
}

const (
	logHeader = 32
	frameSize = 24 + 4096
)

// lastFrame is how many frames of the log belong to it: those of the last round carry its salts.
func lastFrame(log []byte) (n int) {
	for at := logHeader; at+frameSize <= len(log) && bytes.Equal(log[at+8:at+16], log[16:24]); at += frameSize {
		n++
	}
	return n
}

func TestALogThatAKillLeftIsTakenOver(t *testing.T) {
	t.Parallel()
	m := killed(t)
	used, all := lastFrame(m["-wal"]), (len(m["-wal"])-logHeader)/frameSize
	if used < 2*transactions || all <= used {
		t.Fatalf("the log has %d frames, %d of them of this round: this proves nothing", all, used)
	}
	last := logHeader + used*frameSize
	torn := bytes.Clone(m["-wal"])
	copy(torn[last:last+24], torn[last-frameSize:last-frameSize+24]) // a frame of a transaction that was not finished, cut off in its page
	binary.BigEndian.PutUint32(torn[last+4:], 0)
	half := m["-wal"][:last+frameSize/2]
	bit := bytes.Clone(m["-shm"])
	bit[17] ^= 1
	for name, changed := range map[string]image{
		"as it is":                       {},
		"without its index":              {"-shm": nil},
		"with a damaged index":           {"-shm": bit},
		"with an empty index":            {"-shm": {}},
		"torn behind the last commit":    {"-wal": torn},
		"torn, without its index":        {"-wal": torn, "-shm": nil},
		"cut off behind the last commit": {"-wal": half},
		"with nothing behind it":         {"-wal": m["-wal"][:last], "-shm": nil},
	} {
		n, problems, err := rows(t, m.write(t, changed))
		if err != nil || len(problems) > 0 || n != transactions {
			t.Errorf("%s: %d rows of %d, %v, %v", name, n, transactions, problems, err)
		}
	}
	if n, _, _ := rows(t, m.write(t, image{"-wal": nil, "-shm": nil})); n == transactions {
		t.Error("the transactions are not in the log: this proves nothing")
	}
}

// TestEveryFlippedBitOfTheLogIsNamed flips bits all over the part of the log that holds transactions. None may be lost in silence.
func TestEveryFlippedBitOfTheLogIsNamed(t *testing.T) {
	t.Parallel()
	m := killed(t)
	used := lastFrame(m["-wal"])
	last := 0 // the first frame of the last transaction
	for i := range used - 1 {
		if binary.BigEndian.Uint32(m["-wal"][logHeader+i*frameSize+4:]) != 0 {
			last = i + 1
		}
	}
	random := rand.New(rand.NewPCG(4, 4))
	flips := 300
	if testing.Short() {
		flips = 60
	}
	for i := range flips {
		byteAt := random.IntN(logHeader + used*frameSize)
		switch i % 6 {
		case 0:
			byteAt = random.IntN(logHeader) // what SQLite believes first
		case 1:
			byteAt = logHeader + random.IntN(used)*frameSize + random.IntN(24) // headers of frames
		case 2:
			byteAt = logHeader + (used-1)*frameSize + random.IntN(frameSize) // the last commit
		}
		broken := bytes.Clone(m["-wal"])
		broken[byteAt] ^= 1 << random.IntN(8)
		frame := (byteAt - logHeader) / frameSize
		want := fmt.Sprintf("frame %d, at byte %d,", frame+1, logHeader+frame*frameSize)
		if byteAt < logHeader {
			want = "its header is damaged"
		}
		if n, problems, err := rows(t, m.write(t, image{"-wal": broken})); !errors.Is(err, db.ErrDamaged) || !strings.Contains(err.Error(), want) {
			t.Errorf("byte %d: %d rows, %v, %v; want %q", byteAt, n, problems, err, want)
		}
		n, problems, err := rows(t, m.write(t, image{"-wal": broken, "-shm": nil}))
		switch {
		case byteAt < logHeader || frame < last:
			if !errors.Is(err, db.ErrDamaged) || !strings.Contains(err.Error(), want) {
				t.Errorf("byte %d, without index: %d rows, %v, %v; want %q", byteAt, n, problems, err, want)
			}
		case err != nil:
			t.Errorf("byte %d, in the last transaction and without index: %v", byteAt, err)
		case n != transactions && frame != used-1 && !strings.Contains(fmt.Sprint(problems), want):
			t.Errorf("byte %d, in the last transaction and without index: %d rows and %v, want %q", byteAt, n, problems, want)
		}
	}
}

// TestALogThatEndsTooEarlyIsNamed cuts it off before what its index says to be committed.
func TestALogThatEndsTooEarlyIsNamed(t *testing.T) {
	t.Parallel()
	m := killed(t)
	used := lastFrame(m["-wal"])
	for _, size := range []int{logHeader + frameSize, logHeader + used*frameSize/2, logHeader + used*frameSize - 1} {
		if _, _, err := rows(t, m.write(t, image{"-wal": m["-wal"][:size]})); !errors.Is(err, db.ErrDamaged) || !strings.Contains(err.Error(), "it ends after frame") {
			t.Errorf("of %d bytes: %v", size, err)
		}
	}
}

func TestALiveLogIsVerified(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "live.db")
	d, err := db.Open(t.Context(), db.Default(path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if err := d.Migrate(t.Context(), "test", []string{`CREATE TABLE things (id BIGINT NOT NULL PRIMARY KEY, data BLOB NOT NULL)`}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for i := 0; ctx.Err() == nil; i++ {
			err := d.Tx(context.Background(), func(tx *db.Tx) error {
				_, err := tx.Exec(`INSERT INTO things (id, data) VALUES (?, ?)`, i, make([]byte, 20_000))
				return err
			})
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for range 10 {
		if problems, _, err := d.Verify(t.Context()); err != nil || len(problems) > 0 {
			t.Errorf("while others write: %v, %v", problems, err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	log[logHeader+24+100] ^= 4
	if err := os.WriteFile(path+"-wal", log, 0o600); err != nil {
		t.Fatal(err)
	}
	if problems, _, err := d.Verify(t.Context()); err != nil || !strings.Contains(fmt.Sprint(problems), "frame 1, at byte 32, is damaged") {
		t.Errorf("after a flip: %v, %v", problems, err)
	}
}
