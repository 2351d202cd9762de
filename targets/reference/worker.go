package reference

import (
	"context"
	"io"
	"net/http"
	"slices"
	"time"
)

// worker does so many requests at a time, one after the other comes first, keeps so many waiting,
// and turns the others away at once, with 503 and X-Rejected: queue.
//
//	request ─▶ waiting ─▶ workers ─▶ 200
//	    └ full ─▶ 503
//
// /healthz is answered without a worker. As most services do, it works on a request also if its
// caller has gone meanwhile: with a queue that is as long as it likes, it may do nothing else in the end.
type worker struct {
	settings *workerSettings
	places   chan struct{} // taken by all that wait or are worked on; nil where any number may
	turns    chan struct{} // taken by those that are worked on; who waits for one gets it in turn
	work     func(time.Duration)
}

type workerSettings struct {
	workers     int
	waiting     int
	serviceTime time.Duration
	flaw        string
}

var workerKeys = []key[workerSettings]{
	whole("workers", "4", "", "requests that are worked on at a time", 1, 10_000,
		func(s *workerSettings) *int { return &s.workers }),
	whole("waiting", "20", "", "requests that may wait for a worker; what comes beyond is turned away", 0, 1_000_000,
		func(s *workerSettings) *int { return &s.waiting }),
	wait("service_time", "20ms", "", "how long a request is worked on", 0, never,
		func(s *workerSettings) *time.Duration { return &s.serviceTime }),
	flawOf("breaks it in one way", func(s *workerSettings) *string { return &s.flaw }),
}

func parseWorker(with map[string]string) (*workerSettings, error) {
	return parseFlawed("worker", workerKeys, workerFlaws, with)
}

// workerService is the reference service worker.
func workerService() service {
	return configured(Description{
		Name: "worker", About: "does so many requests at a time, keeps so many waiting, and turns the others away at once",
		Settings: describe(workerKeys), Flaws: slices.Clone(workerFlaws),
	}, parseWorker, nil, func(_ context.Context, s *workerSettings, c Config) (http.Handler, error) {
		return newWorker(s), callsNobody("worker", c.Deps)
	})
}

func newWorker(s *workerSettings) *worker {
	return flawQueue(s.flaw, &worker{settings: s, places: make(chan struct{}, s.workers+s.waiting), turns: make(chan struct{},
		s.workers), work: sleep})
}

func (w *worker) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" {
		io.WriteString(out, "ok\n")
		return
	}
	if w.places != nil {
		select {
		case w.places <- struct{}{}:
			defer func() { <-w.places }()
		default:
			out.Header().Set("X-Rejected", "queue")
			http.Error(out, "too many are waiting", http.StatusServiceUnavailable)
			return
		}
	}
	w.turns <- struct{}{}
	w.work(w.settings.serviceTime)
	<-w.turns
	io.WriteString(out, "done\n")
}
