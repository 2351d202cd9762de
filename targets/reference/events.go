package reference

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// event is one message of the broker, as its consumer has it.
//
//	load ─▶ publisher ─▶ broker ─▶ consumer ─▶ ledger
type event struct {
	seq       uint64 // its number: 1, 2, 3 in the order in which the broker acknowledged them, or delivers them if it has no numbers
	key       string
	id, trace string // X-Request-Id and traceparent of the request that published it
	delivered int    // how often, this time included
	ack       func() // acknowledges it: the broker then does not deliver it again. May be called more than once.
	again     func() // has the broker deliver it again, some time later; nil where it does so unasked
}

// retryPause is how long a consumer or saga waits before it tries again.
const retryPause = 50 * time.Millisecond

// rest waits, and reports whether life goes on.
func rest(life context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-life.Done():
		return false
	case <-timer.C:
		return true
	}
}

// hostport is the host:port of a dependency.
func hostport(deps map[string]string, name string) (string, error) {
	base, err := parseDep(name, deps[name])
	if err != nil {
		return "", err
	}
	return base.Host, nil
}

// nodes are the host:port of dependencies, in the order of their names, but for those of some names.
func nodes(deps map[string]string, but ...string) (addrs []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(deps)) {
		if slices.Contains(but, name) {
			continue
		}
		addr, e := hostport(deps, name)
		addrs, err = append(addrs, addr), errors.Join(err, e)
	}
	return addrs, err
}

// needs tells which links a service lacks, or has too many.
func needs(service string, deps map[string]string, links ...string) error {
	for _, name := range links {
		if _, there := deps[name]; !there {
			return fmt.Errorf("a %s needs links by the names of %s: %s is missing", service, strings.Join(links, ", "), name)
		}
	}
	if len(deps) > len(links) {
		return fmt.Errorf("a %s calls %s and nobody else: take its other links out", service, strings.Join(links, ", "))
	}
	return nil
}

func callsNobody(service string, deps map[string]string) error {
	if len(deps) > 0 {
		return fmt.Errorf("a %s calls nobody: take the links from it out", service)
	}
	return nil
}
