package agents

import (
	"fmt"
	"sync/atomic"
)

// mostLogged bounds what is told of a broker's troubles: a peer that tries again and again
// must not fill a log.
const mostLogged = 100

// A brokerLog tells of what a broker refuses: a wrong token, a subject that is another's,
// a message that is too large. What it has to say besides is left out. It implements
// server.Logger.
type brokerLog struct {
	say  func(string)
	told atomic.Int64
}

func (l *brokerLog) Errorf(format string, v ...any) {
	switch n := l.told.Add(1); {
	case n < mostLogged:
		l.say("broker: " + fmt.Sprintf(format, v...))
	case n == mostLogged:
		l.say("broker: there is more of that kind, which is not told any more")
	}
}

// Fatalf ends nothing: who started the broker is told that it does not listen.
func (l *brokerLog) Fatalf(format string, v ...any) { l.Errorf(format, v...) }

func (*brokerLog) Noticef(string, ...any) {}
func (*brokerLog) Warnf(string, ...any)   {}
func (*brokerLog) Debugf(string, ...any)  {}
func (*brokerLog) Tracef(string, ...any)  {}
