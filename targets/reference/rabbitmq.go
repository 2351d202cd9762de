package reference

import (
	"context"
	"errors"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// queueName is that of the one queue, which is also the routing key of its events.
const queueName = "events"

const keyHeader = "Key" // of an event

// dialing bounds connecting to RabbitMQ, its handshake included, and saying goodbye to it.
const dialing = 2 * time.Second

// overRabbitMQ calls use with a channel to the server, and again with another whenever use has returned, until
// life ends. What use has in hand when the connection is lost, it learns from the channel.
func overRabbitMQ(life context.Context, addr string, use func(*amqp.Channel)) {
	for {
		conn, err := amqp.DialConfig("amqp://guest:guest@"+addr+"/", amqp.Config{
			Heartbeat: 2 * time.Second, Dial: amqp.DefaultDial(dialing),
		})
		if err == nil {
			if channel, err := conn.Channel(); err == nil {
				use(channel)
			}
			_ = conn.CloseDeadline(time.Now().Add(dialing)) // lost, or no longer wanted
		}
		if !rest(life, retryPause) {
			return
		}
	}
}

// rabbitTopic is a queue of RabbitMQ as its publishers have it.
type rabbitTopic struct {
	settings  *publisherSettings
	connected sync.WaitGroup

	mu      sync.Mutex
	channel *amqp.Channel // nil while there is none
}

var errNoChannel = errors.New("there is no connection to the broker")

func newRabbitTopic(life context.Context, s *publisherSettings, addr string) *rabbitTopic {
	t := &rabbitTopic{settings: s}
	t.connected.Go(func() {
		overRabbitMQ(life, addr, func(channel *amqp.Channel) {
			if s.confirms == "on" && channel.Confirm(false) != nil {
				return
			}
			lost := channel.NotifyClose(make(chan *amqp.Error, 1))
			t.set(channel)
			defer t.set(nil)
			select {
			case <-lost: //nolint:errcheck // why does not matter: it is opened again
			case <-life.Done():
			}
		})
	})
	return t
}

func (t *rabbitTopic) close() { t.connected.Wait() }

func (t *rabbitTopic) set(channel *amqp.Channel) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.channel = channel
}

func (t *rabbitTopic) current() (*amqp.Channel, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.channel == nil {
		return nil, errNoChannel
	}
	return t.channel, nil
}

func (t *rabbitTopic) keep(context.Context) error {
	channel, err := t.current()
	if err != nil {
		return err
	}
	var limit amqp.Table
	if t.settings.keep > 0 {
		limit = amqp.Table{"x-max-length": int64(t.settings.keep)} // the oldest make way
	}
	const durable, autoDelete, exclusive, noWait = true, false, false, false
	_, err = channel.QueueDeclare(queueName, durable, autoDelete, exclusive, noWait, limit)
	return err
}

func (t *rabbitTopic) publish(ctx context.Context, e news) error {
	channel, err := t.current()
	if err != nil {
		return err
	}
	headers := amqp.Table{keyHeader: e.key}
	if e.trace != "" {
		headers[traceHeader] = e.trace
	}
	const mandatory, immediate = false, false
	confirm, err := channel.PublishWithDeferredConfirmWithContext(ctx, "", queueName, mandatory, immediate, amqp.Publishing{
		DeliveryMode: amqp.Persistent, MessageId: e.id, Headers: headers, Body: e.body,
	})
	if err != nil || confirm == nil { // there is nothing to wait for
		return err
	}
	took, err := confirm.WaitContext(ctx)
	if err == nil && !took {
		err = errors.New("the broker refused it, or the connection was lost")
	}
	return err
}

// rabbitFeed is a queue of RabbitMQ as its consumer has it. RabbitMQ delivers in the order of the queue. What was
// not acknowledged when a connection is lost takes its place there again, and is delivered by the next in turn: so
// events are numbered as they come.
type rabbitFeed struct {
	addr    string
	ackWait time.Duration

	mu      sync.Mutex
	channel *amqp.Channel // nil while there is none
	inHand  int           // delivered on it and not acknowledged
}

func (r *rabbitFeed) close() {}

func (r *rabbitFeed) subscribe(_ context.Context, s *consumerSettings) (subscription, error) {
	return &rabbitFeed{addr: r.addr, ackWait: s.ackWait}, nil
}

func (r *rabbitFeed) next() uint64 { return 1 }

// first: none is ever missing.
func (r *rabbitFeed) first(context.Context) (uint64, error) { return 0, nil }

func (r *rabbitFeed) consume(prefetch int, take func(event)) (stop func(), err error) {
	life, end := context.WithCancel(context.Background())
	var consuming sync.WaitGroup
	var number uint64
	consuming.Go(func() {
		overRabbitMQ(life, r.addr, func(channel *amqp.Channel) {
			deliveries, err := r.deliveries(channel, prefetch)
			if err != nil {
				return // there is no queue yet
			}
			r.use(channel)
			defer r.use(nil)
			for {
				select {
				case d, goesOn := <-deliveries:
					if !goesOn {
						return
					}
					number++
					r.count(channel, 1)
					take(r.event(number, d, channel))
				case <-life.Done():
					return
				}
			}
		})
	})
	return func() { end(); consuming.Wait() }, nil
}

func (r *rabbitFeed) deliveries(channel *amqp.Channel, prefetch int) (<-chan amqp.Delivery, error) {
	const most = 65535 // what the protocol has room for
	if err := channel.Qos(min(prefetch, most), 0, false); err != nil {
		return nil, err
	}
	const unnamed, autoAck, exclusive, noLocal, noWait = "", false, false, false, false
	return channel.Consume(queueName, unnamed, autoAck, exclusive, noLocal, noWait, nil)
}

func (r *rabbitFeed) event(number uint64, d amqp.Delivery, channel *amqp.Channel) event {
	word := func(name string) string {
		text, _ := d.Headers[name].(string)
		return text
	}
	e := event{
		seq: number, key: word(keyHeader), id: d.MessageId, trace: word(traceHeader), delivered: 1,
		// On a connection that was lost they fail, and the event is delivered again.
		ack:   sync.OnceFunc(func() { _ = d.Ack(false); r.count(channel, -1) }),
		again: func() { time.AfterFunc(r.ackWait, func() { _ = d.Reject(true); r.count(channel, -1) }) },
	}
	if d.Redelivered {
		e.delivered = 2
	}
	return e
}

func (r *rabbitFeed) use(channel *amqp.Channel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.channel, r.inHand = channel, 0
}

// count counts what is in hand of a channel, unless that was lost.
func (r *rabbitFeed) count(channel *amqp.Channel, by int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.channel == channel {
		r.inHand += by
	}
}

// left are the events in the queue and those in hand.
func (r *rabbitFeed) left(context.Context) (int, error) {
	r.mu.Lock()
	channel, inHand := r.channel, r.inHand
	r.mu.Unlock()
	if channel == nil {
		return 0, errNoChannel
	}
	const durable, autoDelete, exclusive, noWait = true, false, false, false
	queue, err := channel.QueueDeclarePassive(queueName, durable, autoDelete, exclusive, noWait, nil)
	return queue.Messages + inHand, err
}
