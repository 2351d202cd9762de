package targets

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// User is whom a command runs as.
type User struct {
	Name     string
	Home     string
	UID, GID uint32
	Groups   []uint32 // supplementary
}

// LookupUser finds a user of this machine by name or number. The error says that
// there is none.
func LookupUser(name string) (*User, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return nil, fmt.Errorf("there is no user %s on this machine", name)
		}
	}
	found := &User{Name: u.Username, Home: u.HomeDir}
	groups, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("groups of user %s: %w", name, err)
	}
	ids := make([]uint32, 0, len(groups)+2)
	for _, text := range append([]string{u.Uid, u.Gid}, groups...) {
		id, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %s has the number %q", name, text)
		}
		ids = append(ids, uint32(id))
	}
	found.UID, found.GID, found.Groups = ids[0], ids[1], ids[2:]
	return found, nil
}

// Check refuses a user that we may not start a process as.
func (u *User) Check() error {
	if u.isOurs() || os.Geteuid() == 0 {
		return nil
	}
	return fmt.Errorf("only root starts processes as another user: run stormctl as root, or as %s", u.Name)
}

func (u *User) isOurs() bool { return u == nil || int(u.UID) == os.Geteuid() }

// MayEnter reports whether the user may pass through a folder.
func (u *User) MayEnter(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || u.UID == 0 {
		return true
	}
	mode := info.Mode().Perm()
	if st.Uid == u.UID {
		return mode&0o100 != 0
	}
	if st.Gid == u.GID || slices.Contains(u.Groups, st.Gid) {
		return mode&0o010 != 0
	}
	return mode&0o001 != 0
}

// environment is what the user gets of ours, and what a login would set: without that a
// program looks into our home. What is in the rest may be secrets, which are not for
// another user.
func (u *User) environment(ours []string) (all []string) {
	if u.isOurs() {
		return ours
	}
	for _, v := range ours {
		name, _, _ := strings.Cut(v, "=")
		if name == "PATH" || name == "LANG" || name == "TZ" || name == "TERM" || strings.HasPrefix(name, "LC_") {
			all = append(all, v)
		}
	}
	return append(all, "HOME="+u.Home, "USER="+u.Name, "LOGNAME="+u.Name)
}

// String is the form in which a supervisor is told whom to run its command as;
// "" if as itself.
func (u *User) String() string {
	if u.isOurs() {
		return ""
	}
	ids := []string{strconv.FormatUint(uint64(u.UID), 10), strconv.FormatUint(uint64(u.GID), 10)}
	for _, g := range u.Groups {
		ids = append(ids, strconv.FormatUint(uint64(g), 10))
	}
	return strings.Join(ids, ":")
}

// credential reads what String has written; nil for "".
func credential(text string) (*syscall.Credential, error) {
	if text == "" {
		return nil, nil
	}
	var ids []uint32
	for part := range strings.SplitSeq(text, ":") {
		id, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %q: %w", text, err)
		}
		ids = append(ids, uint32(id))
	}
	if len(ids) < 2 {
		return nil, errors.New("a user has a number and a group")
	}
	return &syscall.Credential{Uid: ids[0], Gid: ids[1], Groups: ids[2:]}, nil
}
