package testbed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/host"
	"github.com/stormctl/stormctl/load/input"
	"github.com/stormctl/stormctl/targets"
)

// ownHost reports whether a target has a host of its own.
func (b *Testbed) ownHost(name string) bool {
	t := b.x.Targets[name]
	return t != nil && t.Process != nil && t.Process.Host == "own"
}

// chooseHosts gives targets that have hosts of their own their addresses. These are
// allowed whatever limits say: nobody else is there.
func (b *Testbed) chooseHosts() error {
	names := b.x.OwnHosts()
	if len(names) == 0 {
		return nil
	}
	var err error
	if b.network, err = host.NewNetwork(names); err != nil {
		return err
	}
	b.allow.List = append(slices.Clone(b.allow.List), b.network.Subnet())
	for _, name := range names {
		b.addrs[name] = netip.AddrPortFrom(b.network.Addr(name), uint16(lowestPort+rand.IntN(highestPort-lowestPort)))
		b.hosts[name] = b.addrs[name].String()
	}
	return nil
}

// makeHosts makes them under the lease, which undoes it, and binds the links of
// callers that are there.
func (b *Testbed) makeHosts(ctx context.Context) error {
	if b.network == nil {
		return nil
	}
	b.network.Leased = host.Leased{Lease: b.lease, Name: b.network.String()}
	if _, err := b.network.Inject(ctx); err != nil {
		return fmt.Errorf("make %s: %w", b.network, err)
	}
	return b.bind(b.ownHost)
}

// between is a partition of targets that have hosts of their own.
func (b *Testbed) between(leased host.Leased, names [][]string) host.Between {
	f := host.Between{Leased: leased, Names: names}
	if b.network == nil { // what there is to see of a plan needs none
		return f
	}
	f.Router = b.network.Router()
	for _, group := range names {
		addrs := make([]netip.Addr, len(group))
		for i, name := range group {
			addrs[i] = b.network.Addr(name)
		}
		f.Groups = append(f.Groups, addrs)
	}
	return f
}

// checkProcesses asks of every target that we start whether it could be, as far as
// that can be seen before anything is.
func (b *Testbed) checkProcesses(ctx context.Context) error {
	var errs []error
	if b.network != nil {
		err := host.Lacks(b.network)
		if err == nil {
			err = b.network.Check(ctx)
		}
		errs = append(errs, err)
	}
	for _, name := range b.order() {
		p := b.x.Targets[name].Process
		if p == nil {
			continue
		}
		if err := checkPrograms(p); err != nil {
			errs = append(errs, fmt.Errorf("target %s: %w", name, err))
		}
		if p.User == "" {
			continue
		}
		u, err := targets.LookupUser(p.User)
		if err == nil {
			err = u.Check()
		}
		if err == nil && b.opts.Dir != "" {
			err = b.mayEnter(u, p.Dir)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("target %s: user: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// checkPrograms finds the programs of a process, but those that variables name.
func checkPrograms(p *experiment.Process) error {
	if strings.Contains(p.Command[0], "${") || len(p.Ready.Command) > 0 && strings.Contains(p.Ready.Command[0], "${") {
		return nil
	}
	return targets.Process{Command: p.Command, Dir: p.Dir, Ready: targets.Probe{Command: p.Ready.Command}}.Check()
}

// mayEnter refuses folders that a target's user cannot get into: its working folder,
// and those above the run directory.
func (b *Testbed) mayEnter(u *targets.User, dir string) error {
	if err := passable(u, dir); err != nil {
		return fmt.Errorf("%w: give dir: a folder that it may, like /", err)
	}
	run, err := filepath.Abs(b.opts.Dir)
	if err != nil {
		return err
	}
	if err := passable(u, filepath.Dir(run)); err != nil {
		return fmt.Errorf("%w, and ${dir} is below it: give --out in a folder that it may, like /var/lib/stormctl/%s", err, b.x.Name)
	}
	return nil
}

// passable refuses a folder if the user may not enter it or one above.
func passable(u *targets.User, dir string) error {
	at, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	for {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		if !u.MayEnter(info) {
			return fmt.Errorf("%s may not enter %s (%v)", u.Name, at, info.Mode())
		}
		if filepath.Dir(at) == at {
			return nil
		}
		at = filepath.Dir(at)
	}
}

// handOver gives a target's folder, and what is in it, to the user that it runs as.
// For that user, and so for all, there is then a way through the run directory, in
// which what they do not know by name they do not see, and cannot read.
func (b *Testbed) handOver(name, user string) (*targets.User, error) {
	u, err := targets.LookupUser(user)
	if err != nil {
		return nil, err
	}
	for _, way := range []string{".", "targets"} {
		if err := b.opts.Root.Chmod(way, 0o711); err != nil {
			return nil, err
		}
	}
	folder, err := input.MakeFolder(b.opts.Root, path.Join("targets", name))
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	return u, giveAll(u, folder)
}

// giveAll makes a folder, and what is in it, the user's.
func giveAll(u *targets.User, folder *os.Root) error {
	return fs.WalkDir(folder.FS(), ".", func(file string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() && !e.Type().IsRegular() { // we make no others, so that they are the user's
			return err
		}
		return giveTo(u, folder, file)
	})
}

// giveTo makes a file or folder the user's, which of a soak that is resumed may be in a
// folder that was his before. One that has another name as well is not given away: he
// may have linked it there, and it may be anybody's.
func giveTo(u *targets.User, folder *os.Root, name string) error {
	f, err := folder.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // what is looked at is what is given
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	is, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || is.Uid == u.UID && is.Gid == u.GID:
		return nil
	case !info.IsDir() && is.Nlink > 1:
		return fmt.Errorf("%s is a file with another name elsewhere, and is not given to %s: remove it", f.Name(), u.Name)
	}
	return f.Chown(int(u.UID), int(u.GID))
}
