package reference

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// event is one message of the broker, as its consumer has it.
//
//	load ─▶ publisher ─▶ broker ─▶ consumer ─▶ ledger
type event struct {
	seq       uint64 // number that the broker gave it: 1, 2, 3 in the order in which it acknowledged them
	key       string
	id, trace string // X-Request-Id and traceparent of the request that published it
	delivered int    // how often, this time included
	ack       func() // acknowledges it: the broker then does not deliver it again. May be called more than once.
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

// openEvents makes the service of events or sagas of that name, and what ends it once its life is over.
func openEvents(life context.Context, name string, c Config) (http.Handler, func(), error) {
	switch name {
	case "publisher":
		settings, err := parsePublisher(c.With)
		if err != nil {
			return nil, nil, err
		}
		p, err := newPublisher(life, settings, c.Deps)
		if err != nil {
			return nil, nil, err
		}
		return p, p.close, nil
	case "consumer":
		settings, err := parseConsumer(c.With)
		if err != nil {
			return nil, nil, err
		}
		k, err := newConsumer(life, settings, c.Deps, c.Dir)
		if err != nil {
			return nil, nil, err
		}
		return k, k.close, nil
	case "ledger":
		settings, err := parseLedger(c.With)
		if err != nil {
			return nil, nil, err
		}
		return newLedger(settings), func() {}, callsNobody(name, c.Deps)
	case "participant":
		settings, err := parseParticipant(c.With)
		if err != nil {
			return nil, nil, err
		}
		return newParticipant(settings), func() {}, callsNobody(name, c.Deps)
	case "saga":
		settings, err := parseSaga(c.With)
		if err != nil {
			return nil, nil, err
		}
		s, err := newSaga(life, settings, c.Deps, c.Dir)
		if err != nil {
			return nil, nil, err
		}
		return s, s.close, nil
	}
	return nil, nil, unknown("reference service", name, Names())
}

// describeEvents describes one of them; false if there is none of that name.
func describeEvents(name string) (Description, bool) {
	switch name {
	case "broker":
		return Description{Name: name, About: "keeps events: a NATS server with JetStream, reached by links with protocol: tcp",
			Settings: describe(brokerKeys)}, true
	case "publisher":
		return Description{Name: name, About: "publishes each request to a broker, and answers once that has acknowledged it",
			Settings: describe(publisherKeys), Flaws: publisherFlaws}, true
	case "consumer":
		return Description{Name: name, About: "takes events from a broker and applies each to a ledger",
			Settings: describe(consumerKeys), Flaws: consumerFlaws}, true
	case "ledger":
		return Description{Name: name, About: "books what is applied to it, in order, and says what is there",
			Settings: describe(ledgerKeys), Flaws: ledgerFlaws}, true
	case "participant":
		return Description{Name: name, About: "does and undoes one step of sagas, and says of which",
			Settings: describe(participantKeys)}, true
	case "saga":
		return Description{Name: name, About: "takes an order through order, stock and payment, and undoes what was done if one of them fails",
			Settings: describe(sagaKeys), Flaws: sagaFlaws}, true
	}
	return Description{}, false
}

// checkEvents tells what is wrong with the settings of one of them; false if there is none of that name.
func checkEvents(name string, with map[string]string) (known bool, err error) {
	switch name {
	case "broker":
		_, err = parseBroker(with)
	case "publisher":
		_, err = parsePublisher(with)
	case "consumer":
		_, err = parseConsumer(with)
	case "ledger":
		_, err = parseLedger(with)
	case "participant":
		_, err = parseParticipant(with)
	case "saga":
		_, err = parseSaga(with)
	default:
		return false, nil
	}
	return true, err
}

// hostport is the host:port of a dependency.
func hostport(deps map[string]string, name string) (string, error) {
	base, err := parseDep(name, deps[name])
	if err != nil {
		return "", err
	}
	return base.Host, nil
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
