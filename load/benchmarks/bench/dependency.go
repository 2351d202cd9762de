package bench

import (
	"context"
	"encoding/json"
)

// Dependency is stormctl's own reference service, which speaks HTTP/1.1 and HTTP/2
// without TLS.
type Dependency struct{ Process }

// StartDependency starts it by the program stormctl.
func StartDependency(ctx context.Context, stormctl string) (*Dependency, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	p, err := Start(ctx, addr, stormctl, "target", "dependency", "--listen", addr)
	return &Dependency{p}, err
}

// Requests is how many it has answered so far, but for those of this method.
func (d *Dependency) Requests() (int64, error) {
	text, err := get("http://" + d.Addr + "/effects")
	if err != nil {
		return 0, err
	}
	var totals struct{ Requests int64 }
	err = json.Unmarshal(text, &totals)
	return totals.Requests, err
}
