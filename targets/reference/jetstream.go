package reference

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// jetStream is a connection to a broker that is a NATS server with JetStream. It connects by itself, as
// often as it must.
type jetStream struct {
	conn    *nats.Conn
	js      jetstream.JetStream
	cluster bool // it has several nodes, any of which may lead
}

const (
	streamName    = "EVENTS"
	subjectPrefix = "events." // the key follows
	durableName   = "consumer"

	idHeader    = "X-Request-Id"
	traceHeader = "Traceparent"
)

// dialJetStream returns at once, connected or not, to the first node that lets it in. With buffered, what is sent while there
// is no connection waits for one; without it fails.
func dialJetStream(addrs []string, buffered bool) (*jetStream, error) {
	buffer := -1
	if buffered {
		buffer = nats.DefaultReconnectBufSize
	}
	conn, err := nats.Connect("nats://"+strings.Join(addrs, ",nats://"), nats.DontRandomize(),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
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
	return &jetStream{conn, js, len(addrs) > 1}, nil
}

func (j *jetStream) close() { j.conn.Close() }

// jetStreamTopic is a stream as its publishers have it.
type jetStreamTopic struct {
	*jetStream
	settings *publisherSettings
}

func newJetStreamTopic(s *publisherSettings, addrs []string) (*jetStreamTopic, error) {
	j, err := dialJetStream(addrs, false)
	if err != nil {
		return nil, err
	}
	return &jetStreamTopic{j, s}, nil
}

func (t *jetStreamTopic) keep(ctx context.Context) error {
	limit := int64(-1)
	if t.settings.keep > 0 {
		limit = int64(t.settings.keep)
	}
	persist := jetstream.DefaultPersistMode
	if t.settings.persist == "async" {
		persist = jetstream.AsyncPersistMode
	}
	_, err := t.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: streamName, Subjects: []string{subjectPrefix + ">"}, Storage: jetstream.FileStorage,
		Replicas: t.settings.replicas, MaxMsgs: limit, Discard: jetstream.DiscardOld, PersistMode: persist,
	})
	return err
}

func (t *jetStreamTopic) publish(ctx context.Context, e news) error {
	m := &nats.Msg{Subject: subjectPrefix + e.key, Data: e.body, Header: nats.Header{idHeader: {e.id}}}
	if e.trace != "" {
		m.Header[traceHeader] = []string{e.trace}
	}
	if t.settings.confirms == "off" {
		return t.conn.PublishMsg(m)
	}
	_, err := t.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
	return err
}

// jetStreamSubscription is one to the stream, which the broker remembers by its name.
type jetStreamSubscription struct {
	stream   jetstream.Stream
	consumer jetstream.Consumer
	cluster  bool
}

// subscribe finds what is to come. Where events are put in order, an acknowledgement speaks for all events before its own.
func (j *jetStream) subscribe(ctx context.Context, s *consumerSettings) (subscription, error) {
	policy := jetstream.AckExplicitPolicy
	if s.order == "buffer" {
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
	return &jetStreamSubscription{stream, consumer, j.cluster}, nil
}

func (s *jetStreamSubscription) next() uint64 { return s.consumer.CachedInfo().AckFloor.Stream + 1 }

func (s *jetStreamSubscription) consume(prefetch int, take func(event)) (stop func(), err error) {
	options := []jetstream.PullConsumeOpt{jetstream.PullMaxMessages(prefetch)}
	if s.cluster { // who leads may die and leave our connection, to another node, as it is: without heartbeats it is told again
		options = append(options, jetstream.PullExpiry(2*time.Second), jetstream.PullHeartbeat(500*time.Millisecond))
	}
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
	}, options...)
	if err != nil {
		return nil, err
	}
	return consuming.Stop, nil
}

// first: what is before was acknowledged, or the stream no longer has it.
func (s *jetStreamSubscription) first(ctx context.Context) (uint64, error) {
	stream, err := s.stream.Info(ctx)
	consumer, err2 := s.consumer.Info(ctx)
	if err := errors.Join(err, err2); err != nil {
		return 0, err
	}
	return max(stream.State.FirstSeq, consumer.AckFloor.Stream+1), nil
}

func (s *jetStreamSubscription) left(ctx context.Context) (int, error) {
	info, err := s.consumer.Info(ctx)
	if err != nil {
		return 0, err
	}
	return int(info.NumPending) + info.NumAckPending, nil
}
