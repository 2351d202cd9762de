package chaos

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load/input"
)

// rests reports whether rulings, or the figures beside them, rest on a file of a run
// directory, which is named with slashes.
func rests(file string) bool {
	return strings.HasPrefix(file, "evidence/") || strings.HasPrefix(file, "chapters/") || strings.HasPrefix(file, "segments/") ||
		file == "chapters.jsonl" || file == "experiment.yaml" || file == "timeline.jsonl" || file == "journal.jsonl" ||
		!strings.Contains(file, "/") && strings.HasSuffix(file, ".hlog")
}

// seal makes the chain of a run directory that is not written to any more.
func seal(dir string) ([]result.Sealed, error) {
	root, err := input.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	files, others, err := filesOf(root)
	if err != nil {
		return nil, err
	}
	if len(others) > 0 {
		return nil, notMade(others[0])
	}
	var chain []result.Sealed
	before := ""
	for _, file := range files {
		if before, err = linkOf(root, before, file); err != nil {
			return nil, err
		}
		chain = append(chain, result.Sealed{File: file, Link: before})
	}
	return chain, nil
}

// filesOf are the files that rulings rest on, and what stands where those would and is no
// regular file, as a link to a chapter.
func filesOf(root *os.Root) (files, others []string, err error) {
	err = fs.WalkDir(root.FS(), ".", func(file string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || e.IsDir():
			return err
		case !rests(file) && !rests(file+"/"):
		case e.Type().IsRegular():
			files = append(files, file)
		default:
			others = append(others, file)
		}
		return nil
	})
	return files, others, err
}

func notMade(file string) error { return fmt.Errorf("%s is no regular file, and no run made it", file) }

func linkOf(root *os.Root, before, file string) (string, error) {
	f, err := input.OpenInside(root, file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content := sha256.New()
	if _, err := io.Copy(content, f); err != nil {
		return "", fmt.Errorf("hash %s: %w", file, err)
	}
	link := sha256.Sum256(append([]byte(before+file+"\x00"), content.Sum(nil)...))
	return hex.EncodeToString(link[:]), nil
}

// verifyChain compares a run directory with the chain that was made when it was written.
// The error names each file that is another one, is gone, or has come since.
func verifyChain(dir string, chain []result.Sealed) error {
	if len(chain) == 0 {
		return fmt.Errorf("%s has no chain of hashes to verify: its run was killed, or was made by an earlier version",
			filepath.Join(dir, result.File))
	}
	root, err := input.OpenDir(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	files, others, err := filesOf(root)
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range others {
		errs = append(errs, notMade(file))
	}
	before := ""
	for _, s := range chain {
		switch link, err := linkOf(root, before, s.File); {
		case slices.Contains(others, s.File): // it was named
		case errors.Is(err, fs.ErrNotExist):
			errs = append(errs, fmt.Errorf("%s is gone", s.File))
		case err != nil:
			errs = append(errs, err)
		case link != s.Link:
			errs = append(errs, fmt.Errorf("%s is not what the run wrote", s.File))
		}
		before = s.Link
	}
	for _, file := range files {
		if !slices.ContainsFunc(chain, func(was result.Sealed) bool { return was.File == file }) {
			errs = append(errs, fmt.Errorf("%s has come since", file))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("verify %s: %w", dir, errors.Join(errs...))
	}
	return nil
}
