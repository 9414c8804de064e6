package bus

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// The embedded server checks its messages when it reads them, and rebuilds without a word what it finds broken. So whoever stops it in order writes down what every file was, and
// whoever verifies the folder before it is used again names each file that is something else. A process that was killed leaves no such list.

const (
	sealName = "sealed.json"
	// seedName is the list of the last time, which saves reading again what has not changed since.
	seedName = "sealed.last.json"
)

// sealed is what a file was.
type sealed struct {
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	CRC32C   uint32    `json:"crc32c"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// unseal says that the folder is in use: its files will change.
func unseal(dir string) error {
	err := os.Rename(filepath.Join(dir, sealName), filepath.Join(dir, seedName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// seal writes down what the files of the folder are. Nothing may change them any more.
func seal(dir string) error {
	last, err := readSeal(filepath.Join(dir, seedName))
	if err != nil {
		last = nil // then everything is read
	}
	files := map[string]sealed{}
	err = eachFile(dir, func(name string, info fs.FileInfo) error {
		f := sealed{Size: info.Size(), Modified: info.ModTime().UTC()}
		if old, ok := last[name]; ok && old.Size == f.Size && old.Modified.Equal(f.Modified) {
			files[name] = old // as it was written, not as it may be by now
			return nil
		}
		var err error
		f.CRC32C, err = sumOf(filepath.Join(dir, name))
		files[name] = f
		return err
	})
	if err != nil {
		return fmt.Errorf("seal %s: %w", dir, err)
	}
	data, err := json.Marshal(files)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, sealName)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("seal %s: %w", dir, err)
	}
	return os.Rename(path+".new", path)
}

// VerifySealed reads the folder of an embedded server that was stopped in order, and names the files that are not what they were then. It says nothing of a folder that is in use or
// whose process was killed.
func VerifySealed(dir string) (problems []error, err error) {
	files, err := readSeal(filepath.Join(dir, sealName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return []error{fmt.Errorf("stream: %w", err)}, nil
	}
	err = eachFile(dir, func(name string, info fs.FileInfo) error {
		was, ok := files[name]
		delete(files, name)
		if !ok {
			problems = append(problems, fmt.Errorf("stream: file %s was not there when the server was stopped", name))
			return nil
		}
		sum, err := sumOf(filepath.Join(dir, name))
		if err == nil && (sum != was.CRC32C || info.Size() != was.Size) {
			problems = append(problems, fmt.Errorf("stream: file %s is not what it was when the server was stopped", name))
		}
		return err
	})
	for name := range files {
		problems = append(problems, fmt.Errorf("stream: file %s is missing", name))
	}
	return problems, err
}

func readSeal(path string) (map[string]sealed, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	files := map[string]sealed{}
	if err := json.Unmarshal(data, &files); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	return files, nil
}

// eachFile calls fn for the files below a folder but the lists themselves, with their names in it.
func eachFile(dir string, fn func(name string, info fs.FileInfo) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || filepath.Dir(name) == "." && (name == sealName || name == seedName || name == sealName+".new") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return fn(filepath.ToSlash(name), info)
	})
}

func sumOf(path string) (sum uint32, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := crc32.New(castagnoli)
	_, err = io.Copy(h, f)
	return h.Sum32(), err
}
