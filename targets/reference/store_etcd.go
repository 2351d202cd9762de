package reference

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// etcdStore keeps values and entries below a prefix each, by the JSON gateway that every
// etcd has: no client that tries again by itself lies between.
type etcdStore struct {
	base         string
	client       *http.Client
	transport    *http.Transport
	serializable bool
}

func openEtcd(s *storeSettings, addr string) *etcdStore {
	t := newTransport(s.timeout, "http1")
	t.MaxConnsPerHost = s.pool
	return &etcdStore{base: "http://" + addr + "/v3/kv/", transport: t, client: &http.Client{Transport: once{t}},
		serializable: s.flaw == "serializable"}
}

func (e *etcdStore) close() { e.transport.CloseIdleConnections() }

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func (e *etcdStore) put(ctx context.Context, key, value string) error {
	return e.ask(ctx, "put", map[string]any{"key": encoded("kv/" + key), "value": encoded(value)}, nil)
}

// etcdRange is what a range answers.
type etcdRange struct {
	KVs []struct {
		Key   []byte `json:"key"`
		Value []byte `json:"value"`
	} `json:"kvs"`
}

func (e *etcdStore) get(ctx context.Context, key string) (string, bool, error) {
	var found etcdRange
	err := e.ask(ctx, "range", map[string]any{"key": encoded("kv/" + key), "serializable": e.serializable}, &found)
	if err != nil || len(found.KVs) == 0 {
		return "", false, err
	}
	return string(found.KVs[0].Value), true, nil
}

const entriesPrefix = "entry/"

func (e *etcdStore) add(ctx context.Context, id string) error {
	return e.ask(ctx, "put", map[string]any{"key": encoded(entriesPrefix + id), "value": ""}, nil)
}

func (e *etcdStore) all(ctx context.Context) (ids []string, err error) {
	var found etcdRange
	err = e.ask(ctx, "range", map[string]any{"key": encoded(entriesPrefix), "range_end": encoded("entry0"), "keys_only": true}, &found)
	for _, kv := range found.KVs {
		ids = append(ids, strings.TrimPrefix(string(kv.Key), entriesPrefix))
	}
	return ids, err
}

func (e *etcdStore) ask(ctx context.Context, what string, question map[string]any, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.base+what, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("etcd answered %d: %.200s", resp.StatusCode, text)
	case answer == nil:
		return nil
	}
	return json.Unmarshal(text, answer)
}
