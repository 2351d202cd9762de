package reference

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
)

// service is a reference service: what is told of it, and how it is served.
type service struct {
	Description
	keeps bool // what must outlive its process, in Config.Dir
	check func(with map[string]string) error
	serve func(ctx context.Context, c Config, ready func(addr string)) error
}

// services lists them in the order in which they are shown. Each is made by a
// function in its own file.
func services() []service {
	return []service{
		frontendService(), pageService(), storeService(), workerService(), rpcService(), poolService(), cacheService(), dependencyService(),
		brokerService(), publisherService(), consumerService(), ledgerService(), sagaService(), participantService(),
	}
}

// configured is a service with settings S: open makes of them what answers its
// requests, over listen, or net/http's server if that is nil. If it has a method
// close, that is called at the end, once its life is over.
func configured[S any](d Description, parse func(map[string]string) (*S, error), listen func(context.Context, http.Handler) listening,
	open func(life context.Context, s *S, c Config) (http.Handler, error)) service {
	if listen == nil {
		listen = func(life context.Context, h http.Handler) listening { return overNetHTTP(life, h) }
	}
	return service{
		Description: d,
		check:       func(with map[string]string) error { _, err := parse(with); return err },
		serve: func(ctx context.Context, c Config, ready func(addr string)) error {
			settings, err := parse(c.With)
			if err != nil {
				return err
			}
			// What is in progress may finish, for a while, when ctx is done.
			life, end := context.WithCancel(context.WithoutCancel(ctx))
			defer end()
			handler, err := open(life, settings, c)
			if err != nil {
				return err
			}
			if h, ok := handler.(interface{ close() }); ok {
				defer func() { end(); h.close() }()
			}
			return serve(ctx, life, end, c.Listen, listen(life, handler), ready)
		},
	}
}

// find returns the service of that name, or an error that says which there are.
func find(name string) (service, error) {
	all := services()
	if i := slices.IndexFunc(all, func(s service) bool { return s.Name == name }); i >= 0 {
		return all[i], nil
	}
	return service{}, unknown("reference service", name, Names())
}

// Names returns the services that Serve knows.
func Names() (names []string) {
	for _, s := range services() {
		names = append(names, s.Name)
	}
	return names
}

// Describe describes the service of that name; false if there is none.
func Describe(name string) (Description, bool) {
	s, err := find(name)
	return s.Description, err == nil
}

// Check tells what is wrong with the settings of a service, all at once, and
// what would be right.
func Check(name string, with map[string]string) error {
	s, err := find(name)
	if err != nil {
		return err
	}
	return s.check(with)
}

// Serve runs the reference service of that name until ctx is done, and then
// returns nil. Ready is called once, with the address it listens on, when it
// accepts requests; it may be nil.
func Serve(ctx context.Context, name string, c Config, ready func(addr string)) error {
	c.Name = cmp.Or(c.Name, name)
	s, err := find(name)
	if err == nil {
		err = s.inDir(ctx, c, ready)
	}
	if err != nil {
		return fmt.Errorf("serve %s: %w", c.Name, err)
	}
	return nil
}

// inDir serves with a folder for a service that keeps something.
func (s service) inDir(ctx context.Context, c Config, ready func(addr string)) error {
	if c.Dir != "" || !s.keeps {
		return s.serve(ctx, c, ready)
	}
	dir, err := os.MkdirTemp("", "stormctl-target-")
	if err != nil {
		return err
	}
	c.Dir = dir
	return errors.Join(s.serve(ctx, c, ready), os.RemoveAll(dir))
}
