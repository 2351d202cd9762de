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
// be ours alone: what stands in a journal is done. Where another user has taken
// the name in /tmp, one is made that cannot be known before.
func StateDir() (string, error) {
	dir := places(os.Geteuid())[0]
	made, err := makeFolder(dir)
	if errors.Is(err, errForeign) && os.Getenv(StateEnv) == "" {
		made, err = besideForeign(dir)
	}
	if err != nil {
		return "", fmt.Errorf("folder for journals: %w (another can be given by %s)", err, StateEnv)
	}
	return made, nil
}

// makeFolder makes sure of a folder that is ours alone.
func makeFolder(dir string) (string, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return dir, ours(dir)
}

// besideForeign is a folder in place of one whose name another user has taken.
func besideForeign(dir string) (string, error) {
	for _, other := range beside(dir) {
		if ours(other) == nil {
			return other, nil
		}
	}
	return os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+"-") // with mode 0700
}

// StateDirs are the folders where journals of this user may be: a session and a
// job of cron may see different ones. Those that are not there are left out,
// and so are those that are another user's: what he left is no word of ours.
// The error is for one of our own that others may write.
func StateDirs() ([]string, error) {
	if dir := os.Getenv(StateEnv); dir != "" {
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return []string{dir}, ours(dir)
	}
	var dirs []string
	for _, place := range places(os.Geteuid()) {
		for _, dir := range append([]string{place}, beside(place)...) {
			switch err := ours(dir); {
			case err == nil:
				dirs = append(dirs, dir)
			case !errors.Is(err, errForeign) && !errors.Is(err, fs.ErrNotExist):
				return nil, err
			}
		}
	}
	return dirs, nil
}

// Others are folders in which other users' runs leave their journals, as far as
// they can be seen: what they say is never done, and their runs are theirs to
// end and to heal.
func Others() []string {
	if os.Getenv(StateEnv) != "" {
		return nil
	}
	var others []string
	for _, pattern := range []string{"/run/stormctl", "/run/user/*/stormctl", filepath.Join(os.TempDir(), "stormctl-*")} {
		found, _ := filepath.Glob(pattern) // the patterns are sound
		for _, dir := range found {
			if info, err := os.Lstat(dir); err == nil && info.IsDir() && errors.Is(ours(dir), errForeign) {
				others = append(others, dir)
			}
		}
	}
	return others
}

// places lists where a user's journals may be, the one for new ones first.
func places(uid int) []string {
	if dir := os.Getenv(StateEnv); dir != "" {
		return []string{dir}
	}
	id := strconv.Itoa(uid)
	var dirs []string
	add := func(parent, name string) {
		if info, err := os.Stat(parent); err == nil && info.IsDir() && !OthersMayWrite(info) {
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

// beside lists the folders that StateDir made because dir was taken.
func beside(dir string) []string {
	found, _ := filepath.Glob(dir + "-*") // dir has no character that Glob takes for a pattern but for an odd $TMPDIR: then none is found
	return found
}

// OthersMayWrite reports whether another user, root apart, could put something
// in the place of what is in a folder: it is his, or open to him and not sticky.
// Who became root by sudo is no other.
func OthersMayWrite(folder fs.FileInfo) bool {
	return OthersOwn(folder) || folder.Mode().Perm()&0o022 != 0 && folder.Mode()&fs.ModeSticky == 0
}

// OthersOwn reports whether a file, folder or link is another user's, root and who became
// root by sudo apart.
func OthersOwn(info fs.FileInfo) bool {
	uid, ok := owner(info)
	return !ok || uid != os.Geteuid() && uid != 0 && (os.Geteuid() != 0 || strconv.Itoa(uid) != os.Getenv("SUDO_UID"))
}

// OwnedByUs reports whether a file or folder belongs to the user that we run as.
func OwnedByUs(info fs.FileInfo) bool {
	uid, ok := owner(info)
	return ok && uid == os.Geteuid()
}

// owner is the user that a file belongs to; ok is false where that is not told.
func owner(info fs.FileInfo) (uid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// errForeign is a folder that another user made, or could exchange.
var errForeign = errors.New("it belongs to another user, who could make us undo anything")

// ours refuses a folder into which another user could have put something.
func ours(dir string) error {
	root, err := openFolder(dir)
	if err == nil {
		_ = root.Close() // it was only looked at
	}
	return err
}

// openFolder opens a folder of journals that is ours alone; owner and mode are
// those of what was opened, whatever stands under the name by then. What is
// opened in it by the descriptor is in this folder and in no other.
func openFolder(dir string) (*os.Root, error) {
	named, err := os.Lstat(dir) // before: to open what is no folder may block
	if err != nil {
		return nil, err
	}
	if !named.IsDir() {
		return nil, fmt.Errorf("%s is not a folder: remove it, journals belong there", dir)
	}
	parent, err := os.Stat(filepath.Dir(filepath.Clean(dir)))
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		if uid, ok := owner(named); ok && uid != os.Geteuid() {
			err = fmt.Errorf("%s: %w", dir, errForeign)
		}
		return nil, err
	}
	info, err := root.Stat(".")
	if err == nil {
		uid, ok := owner(info)
		switch {
		case !os.SameFile(named, info):
			err = fmt.Errorf("%s: %w: it was exchanged while it was opened", dir, errForeign)
		case !ok || uid != os.Geteuid():
			err = fmt.Errorf("%s: %w: remove it, or give another folder by %s", dir, errForeign, StateEnv)
		case OthersMayWrite(parent):
			err = fmt.Errorf("%s: %w: its parent folder is another user's or open to all; give another folder by %s", dir,
				errForeign, StateEnv)
		case info.Mode().Perm()&0o077 != 0:
			err = fmt.Errorf("%s may be used by other users, who could make us undo anything: chmod 700 it", dir)
		}
	}
	if err != nil {
		_ = root.Close() // it was only looked at
		return nil, err
	}
	return root, nil
}

// journals lists the files of journals in a folder, which must be ours alone.
func journals(dir string) ([]string, error) {
	root, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
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

// LookForHalt returns a function that reports whether the runs of a folder were told to
// end after since. They are told by the modification time of a file. It is of the wall
// clock, which may be set: so any change of it after this call tells them, be it to a later
// time or an earlier one. A time between since and now tells them at once; one in the
// future is left from before and tells nothing.
func LookForHalt(dir string, since time.Time) (halted func() bool) {
	file := filepath.Join(dir, haltFile)
	told := func() (at time.Time) {
		if info, err := os.Stat(file); err == nil {
			at = info.ModTime()
		}
		return at
	}
	first := told()
	if first.After(since) && !first.After(time.Now()) {
		return func() bool { return true }
	}
	return func() bool {
		at := told()
		return !at.IsZero() && !at.Equal(first)
	}
}

// askToHalt tells the runs of a folder, which must be ours alone, to end.
func askToHalt(dir string) error {
	root, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	f, err := root.OpenFile(haltFile, os.O_CREATE|os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	now := time.Now()
	return errors.Join(f.Close(), root.Chtimes(haltFile, now, now))
}
