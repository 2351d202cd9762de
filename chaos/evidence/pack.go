package evidence

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stormctl/stormctl/load/input"
)

// packedSuffix is the end of the name of a file of records that is compressed.
const packedSuffix = ".gz"

// A Packer compresses records. It keeps its 1.4 MiB of buffers from one directory to the
// next, so that a soak's process does not grow with each chapter. The zero Packer is
// ready; it is not for concurrent use.
type Packer struct {
	zip      *gzip.Writer // nil before the first file
	buffered *bufio.Writer
}

// Pack compresses the records of a directory that is not written to any more. Each
// file is written anew beside, and takes the place of the old one once it is whole: a
// Pack that was killed leaves what there was.
func (p *Packer) Pack(dir *os.Root) error {
	folder, err := input.Folder(dir, "evidence")
	if err != nil {
		return err
	}
	defer folder.Close()
	files, err := fs.ReadDir(folder.FS(), ".")
	if err != nil {
		return err
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), linkSuffix) {
			if err := p.pack(folder, f.Name()); err != nil {
				return fmt.Errorf("compress %s: %w", filepath.Join(folder.Name(), f.Name()), err)
			}
		}
	}
	return nil
}

func (p *Packer) pack(folder *os.Root, name string) (err error) {
	in, err := input.OpenIn(folder, name, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer in.Close()
	beside := name + packedSuffix + ".new"
	if err := folder.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) { // of one that was killed
		return err
	}
	out, err := input.OpenIn(folder, beside, os.O_CREATE|os.O_EXCL|os.O_WRONLY)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = folder.Remove(beside) // what it was made from is still there
		}
	}()
	if p.zip == nil {
		p.buffered = bufio.NewWriterSize(nil, 1<<18)
		p.zip, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // a level that there is
	}
	p.buffered.Reset(out)
	p.zip.Reset(p.buffered)
	_, err = io.Copy(p.zip, in)
	if err = errors.Join(err, p.zip.Close(), p.buffered.Flush(), out.Close()); err != nil {
		return err
	}
	if err := folder.Rename(beside, name+packedSuffix); err != nil {
		return err
	}
	return folder.Remove(name)
}

// records is an open file of records, as it was written, compressed or not.
type records struct {
	io.Reader
	name string
	file *os.File
}

func (r *records) Close() error { return r.file.Close() }

// openRecords opens a file of records, or the same compressed. More than a run writes
// is an error, of what is compressed when it is read.
func openRecords(dir, name string) (*records, error) {
	f, err := input.OpenBelow(dir, name)
	if errors.Is(err, os.ErrNotExist) {
		if packed, packedErr := input.OpenBelow(dir, name+packedSuffix); packedErr == nil {
			return unpack(packed)
		}
	}
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.Size() > MaxFileSize {
		_ = f.Close() // it was only looked at
		return nil, tooMuch(f.Name())
	}
	return &records{f, f.Name(), f}, nil
}

func unpack(f *os.File) (*records, error) {
	unpacker, err := gzip.NewReader(bufio.NewReaderSize(f, 1<<16))
	if err != nil {
		_ = f.Close() // it was only looked at
		return nil, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return &records{&bounded{unpacker, MaxFileSize, f.Name()}, f.Name(), f}, nil
}

// bounded is a reader that fails where there is more than there may be.
type bounded struct {
	from io.Reader
	left int64
	name string
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooMuch(b.name)
	}
	return n, err
}

func tooMuch(name string) error {
	return fmt.Errorf("read %s: it has more than the %d bytes that a run writes", name, int64(MaxFileSize))
}
