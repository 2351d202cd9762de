package lease

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// StateEnv names the folder of the journals, in place of the machine's: for
// tests, and for runs that are to be independent of each other.
const StateEnv = "STORMCTL_STATE"

const (
	suffix     = ".jsonl"
	unfinished = ".new"
	haltFile   = "halt" // its time is that of the last halt
)

// StateDir makes sure of the folder where this user's runs leave their
// journals, and returns it: /run/stormctl for root, stormctl in /run/user/UID
// or $XDG_RUNTIME_DIR where there is one, /tmp/stormctl-UID otherwise. It must
// be ours alone: what stands in a journal is done.
func StateDir() (string, error) {
	dir := places(os.Geteuid())[0]
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("folder for journals: %w (another can be given by %s)", err, StateEnv)
	}
	if err := ours(dir); err != nil {
		return "", err
	}
	return dir, nil
}

// StateDirs are the folders where journals of this user may be: a session and a
// job of cron may see different ones. Those that are not there are left out.
func StateDirs() ([]string, error) {
	var dirs []string
	for _, dir := range places(os.Geteuid()) {
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := ours(dir); err != nil {
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// places lists where a user's journals may be, the one for new ones first.
func places(uid int) []string {
	if dir := os.Getenv(StateEnv); dir != "" {
		return []string{dir}
	}
	id := strconv.Itoa(uid)
	var dirs []string
	add := func(parent, name string) {
		if info, err := os.Stat(parent); err == nil && info.IsDir() {
			dirs = append(dirs, filepath.Join(parent, name))
		}
	}
	if uid == 0 {
		add("/run", "stormctl")
	}
	add("/run/user/"+id, "stormctl")
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" && dir != "/run/user/"+id {
		add(dir, "stormctl")
	}
	return append(dirs, filepath.Join(os.TempDir(), "stormctl-"+id))
}

// ours refuses a folder into which another user could have put something.
func ours(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder: remove it, journals belong there", dir)
	case !ok || int(st.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to another user, who could make us undo anything: remove it, or give another folder by %s", dir, StateEnv)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s may be used by other users, who could make us undo anything: chmod 700 it", dir)
	}
	return nil
}

// journals lists the files of journals in a folder.
func journals(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) && e.Type().IsRegular() {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

// Halted reports whether the runs of a folder were told to end since then.
func Halted(dir string, since time.Time) bool {
	info, err := os.Stat(filepath.Join(dir, haltFile))
	return err == nil && info.ModTime().After(since)
}

// askToHalt tells the runs of a folder to end.
func askToHalt(dir string) error {
	path := filepath.Join(dir, haltFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	now := time.Now()
	return errors.Join(f.Close(), os.Chtimes(path, now, now))
}
