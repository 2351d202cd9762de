//go:build !linux || portable

package tcp

import (
	"math"
	"time"

	"github.com/stormctl/stormctl/chaos/proxy/link"
)

// What only Linux has: io_uring and splice. Here no session is ever promoted, and
// there is no pipe to be had.
type (
	fastPath struct {
		loop     *loop
		sessions int
	}
	ringState struct{}
	pipe      struct{}
	pipes     struct{}
)

const (
	promoteAfter = math.MaxInt
	fastBuffer   = math.MaxInt
)

func (f *fastPath) promote(p *session)                  { p.smallInRow = 0 }
func (f *fastPath) empty(*Relay)                        {}
func (f *fastPath) cancel()                             {}
func (f *fastPath) deliver()                            {}
func (f *fastPath) close()                              {}
func (f *fastPath) wait(time.Duration) ([]event, error) { return nil, nil }
func (s *pipes) get() *pipe                             { return nil }
func (s *pipes) put(*pipe)                              {}
func (s *pipes) close()                                 {}
func (p *session) splice(link.Direction) (still bool)   { return true }
func (p *session) unsplice(link.Direction)              {}
