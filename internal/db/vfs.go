package db

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// vfsName is how SQLite knows the layer below it that seals pages: "vfs=" in the name of a database.
const vfsName = "switchyard-sealed"

// The layer is SQLite's own for the operating system, with the methods of the main file replaced: what is read is checked, what is written is stamped. Log, index and journal go
// through as they are. Function pointers in this translation of SQLite are Go functions, so nothing here is C.

type (
	openFunc  = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32
	readFunc  = func(tls *libc.TLS, file, buf uintptr, n int32, at sqlite3.Tsqlite3_int64) int32
	writeFunc = readFunc
	traitFunc = func(tls *libc.TLS, file uintptr) int32
)

// sealing is the layer; there is one in a process.
var sealing struct {
	once     sync.Once
	err      error
	original *sqlite3.Tsqlite3_vfs
	pointer  uintptr  // of original
	methods  sync.Map // original table of methods → *methods
}

// methods are those of a file, and what they were before.
type methods struct {
	table    *sqlite3.Tsqlite3_io_methods
	read     readFunc
	write    writeFunc
	traits   traitFunc
	original uintptr
}

// registerSealing makes the layer known to SQLite.
func registerSealing() error {
	sealing.once.Do(func() {
		tls := libc.NewTLS() // kept for ever, as the layer is
		sealing.pointer = sqlite3.Xsqlite3_vfs_find(tls, 0)
		if sealing.pointer == 0 {
			sealing.err = errors.New("SQLite knows no file system")
			return
		}
		sealing.original = (*sqlite3.Tsqlite3_vfs)(pointerOf(sealing.pointer))
		size := unsafe.Sizeof(sqlite3.Tsqlite3_vfs{})
		p := libc.Xcalloc(tls, 1, libc.Tsize_t(size))
		name, err := libc.CString(vfsName)
		if p == 0 || err != nil {
			sealing.err = errors.Join(errors.New("out of memory"), err)
			return
		}
		own := (*sqlite3.Tsqlite3_vfs)(pointerOf(p))
		*own = *sealing.original
		own.FpNext, own.FzName = 0, name
		setFunc(&own.FxOpen, sealedOpen)
		if rc := sqlite3.Xsqlite3_vfs_register(tls, p, 0); rc != sqlite3.SQLITE_OK {
			sealing.err = fmt.Errorf("register the file system: code %d", rc)
		}
	})
	return sealing.err
}

// pointerOf turns an address of this SQLite, whose memory is outside of Go's heap, into a pointer.
func pointerOf(address uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }

// setFunc and funcOf convert between functions and the addresses that stand for them.
func setFunc[F any](address *uintptr, f F) { *(*F)(unsafe.Pointer(address)) = f }

func funcOf[F any](address uintptr) F { return *(*F)(unsafe.Pointer(&address)) }

// sealedOpen opens a file as before and, when it is a database, puts the checking methods in place.
func sealedOpen(tls *libc.TLS, _, name, file uintptr, flags int32, outFlags uintptr) int32 {
	rc := funcOf[openFunc](sealing.original.FxOpen)(tls, sealing.pointer, name, file, flags, outFlags)
	if rc != sqlite3.SQLITE_OK || flags&sqlite3.SQLITE_OPEN_MAIN_DB == 0 {
		return rc
	}
	f := (*sqlite3.Tsqlite3_file)(pointerOf(file))
	m, err := methodsFor(tls, f.FpMethods)
	if err != nil {
		return sqlite3.SQLITE_NOMEM
	}
	f.FpMethods = uintptr(unsafe.Pointer(m.table))
	return rc
}

// methodsFor returns the checking methods in place of those at an address. There are as many as ways of locking, each is made once.
func methodsFor(tls *libc.TLS, address uintptr) (*methods, error) {
	if m, ok := sealing.methods.Load(address); ok {
		return m.(*methods), nil
	}
	p := libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_io_methods{})))
	if p == 0 {
		return nil, errors.New("out of memory")
	}
	original := (*sqlite3.Tsqlite3_io_methods)(pointerOf(address))
	m := &methods{
		table: (*sqlite3.Tsqlite3_io_methods)(pointerOf(p)), original: address,
		read: funcOf[readFunc](original.FxRead), write: funcOf[writeFunc](original.FxWrite),
		traits: funcOf[traitFunc](original.FxDeviceCharacteristics),
	}
	*m.table = *original
	m.table.FiVersion = min(m.table.FiVersion, 2) // without those for memory maps, which would go past the check
	setFunc(&m.table.FxRead, sealedRead)
	setFunc(&m.table.FxWrite, sealedWrite)
	setFunc(&m.table.FxDeviceCharacteristics, sealedTraits)
	sealing.methods.Store(p, m)
	other, _ := sealing.methods.LoadOrStore(address, m)
	return other.(*methods), nil
}

// of returns the methods of an open file.
func of(file uintptr) *methods {
	m, _ := sealing.methods.Load((*sqlite3.Tsqlite3_file)(pointerOf(file)).FpMethods)
	return m.(*methods)
}

func page(buf uintptr) []byte { return unsafe.Slice((*byte)(pointerOf(buf)), pageSize) }

// sealedRead reads and checks. SQLite reads parts of the header before it knows anything, and the whole first page before it believes them; any other part of a page is none of its
// reads, and comes from a header that is damaged.
func sealedRead(tls *libc.TLS, file, buf uintptr, n int32, at sqlite3.Tsqlite3_int64) int32 {
	if rc := of(file).read(tls, file, buf, n, at); rc != sqlite3.SQLITE_OK {
		return rc
	}
	switch {
	case n == pageSize && at%pageSize == 0:
		if !whole(page(buf), uint64(at/pageSize)+1) {
			return sqlite3.SQLITE_IOERR_DATA
		}
	case n > headerSize || at+sqlite3.Tsqlite3_int64(n) > headerSize:
		return sqlite3.SQLITE_IOERR_DATA
	}
	return sqlite3.SQLITE_OK
}

// sealedWrite stamps and writes. The bytes of the stamp are not SQLite's, also in its own memory.
func sealedWrite(tls *libc.TLS, file, buf uintptr, n int32, at sqlite3.Tsqlite3_int64) int32 {
	if n == pageSize && at%pageSize == 0 {
		stamp(page(buf), uint64(at/pageSize)+1)
	}
	return of(file).write(tls, file, buf, n, at)
}

// sealedTraits says that parts of pages are not to be read: SQLite would fetch long values so, past the check.
func sealedTraits(tls *libc.TLS, file uintptr) int32 {
	return of(file).traits(tls, file) &^ sqlite3.SQLITE_IOCAP_SUBPAGE_READ
}
