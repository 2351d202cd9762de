package reference

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// jetStream is a connection to a broker that is a NATS server with JetStream. It connects by itself, as
// often as it must.
type jetStream struct {
	conn *nats.Conn
	js   jetstream.JetStream
}

const (
	streamName    = "EVENTS"
	subjectPrefix = "events." // the key follows
	durableName   = "consumer"

	idHeader    = "X-Request-Id"
	traceHeader = "Traceparent"
)

// dialJetStream returns at once, connected or not. With buffered, what is sent while there is no connection
// waits for one; without it fails.
func dialJetStream(addr string, buffered bool) (*jetStream, error) {
	buffer := -1
	if buffered {
		buffer = nats.DefaultReconnectBufSize
	}
	conn, err := nats.Connect("nats://"+addr, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ReconnectWait(100*time.Millisecond), nats.ReconnectJitter(0, 0), nats.ReconnectBufSize(buffer),
		nats.IgnoreDiscoveredServers(), nats.SkipHostLookup(),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // what goes wrong shows in what is done again
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &jetStream{conn, js}, nil
}

func (j *jetStream) close() { j.conn.Close() }

// keep makes the stream, or finds it made. Most is how many events it keeps at most, the latest; 0 is all.
func (j *jetStream) keep(ctx context.Context, most int, persist jetstream.PersistModeType) error {
	limit := int64(-1)
	if most > 0 {
		limit = int64(most)
	}
	_, err := j.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: streamName, Subjects: []string{subjectPrefix + ">"}, Storage: jetstream.FileStorage,
		MaxMsgs: limit, Discard: jetstream.DiscardOld, PersistMode: persist,
	})
	return err
}

func message(key, id, trace string, body []byte) *nats.Msg {
	m := &nats.Msg{Subject: subjectPrefix + key, Data: body, Header: nats.Header{idHeader: {id}}}
	if trace != "" {
		m.Header[traceHeader] = []string{trace}
	}
	return m
}

// publish returns once the broker has acknowledged an event. It sends it once.
func (j *jetStream) publish(ctx context.Context, m *nats.Msg) error {
	_, err := j.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
	return err
}

// send returns once an event is on its way, if it is.
func (j *jetStream) send(m *nats.Msg) error { return j.conn.PublishMsg(m) }

// subscription is one to the stream, which the broker remembers by its name.
type subscription struct {
	stream   jetstream.Stream
	consumer jetstream.Consumer
	next     uint64 // the first event that was not acknowledged as it was made
}

// subscribe finds what is to come. In order, an acknowledgement speaks for all events before its own.
func (j *jetStream) subscribe(ctx context.Context, s *consumerSettings, inOrder bool) (*subscription, error) {
	policy := jetstream.AckExplicitPolicy
	if inOrder {
		policy = jetstream.AckAllPolicy
	}
	stream, err := j.js.Stream(ctx, streamName)
	if err != nil {
		return nil, err
	}
	consumer, err := stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: durableName, AckPolicy: policy, AckWait: s.ackWait, MaxAckPending: s.prefetch, MaxDeliver: -1,
	})
	if err != nil {
		return nil, err
	}
	return &subscription{stream, consumer, consumer.CachedInfo().AckFloor.Stream + 1}, nil
}

// consume calls take with each event that is delivered, one after another, until stop, and once more if it is
// about to be called then.
func (s *subscription) consume(prefetch int, take func(event)) (stop func(), err error) {
	consuming, err := s.consumer.Consume(func(m jetstream.Msg) {
		about, err := m.Metadata()
		if err != nil {
			return // none of the stream's
		}
		h := http.Header(m.Headers())
		take(event{
			seq: about.Sequence.Stream, key: m.Subject()[len(subjectPrefix):], id: h.Get(idHeader), trace: h.Get(traceHeader),
			delivered: int(about.NumDelivered),
			ack:       func() { _ = m.Ack() },
		})
	}, jetstream.PullMaxMessages(prefetch))
	if err != nil {
		return nil, err
	}
	return consuming.Stop, nil
}

// first is the first event that may still come: what is before was acknowledged, or the stream no longer has it.
func (s *subscription) first(ctx context.Context) (uint64, error) {
	stream, err := s.stream.Info(ctx)
	consumer, err2 := s.consumer.Info(ctx)
	if err := errors.Join(err, err2); err != nil {
		return 0, err
	}
	return max(stream.State.FirstSeq, consumer.AckFloor.Stream+1), nil
}
