package api

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2/client"
	"github.com/google/go-cmp/cmp"
)

// TestGoClient uses all that toxiproxy's Go client can do.
func TestGoClient(t *testing.T) {
	s := New(Config{})
	t.Cleanup(s.Close)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	client := toxiproxy.NewClient(server.Listener.Addr().String())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	wantError := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}

	version, err := client.Version()
	must(err)
	if got := string(version); !strings.Contains(got, `"2.12.0"`) {
		t.Errorf("version %s", got)
	}
	redis, err := client.CreateProxy("redis", "127.0.0.1:0", "127.0.0.1:1")
	must(err)
	if !redis.Enabled || strings.HasSuffix(redis.Listen, ":0") {
		t.Errorf("created %+v, want it enabled on a port", redis)
	}
	_, err = client.CreateProxy("redis", "127.0.0.1:0", "127.0.0.1:1")
	wantError(err, "HTTP 409: proxy already exists")
	_, err = client.CreateProxy("", "127.0.0.1:0", "127.0.0.1:1")
	wantError(err, "HTTP 400: missing required field: name")
	_, err = client.Proxy("nobody")
	wantError(err, "HTTP 404: proxy not found")

	toxic, err := redis.AddToxic("", "latency", "upstream", 0.5, toxiproxy.Attributes{"latency": 100, "jitter": 10})
	must(err)
	want := &toxiproxy.Toxic{Name: "latency_upstream", Type: "latency", Stream: "upstream", Toxicity: 0.5,
		Attributes: toxiproxy.Attributes{"latency": 100.0, "jitter": 10.0}}
	if diff := cmp.Diff(want, toxic); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
	_, err = redis.AddToxic("", "latency", "upstream", 1, nil)
	wantError(err, "AddToxic: HTTP 409: toxic already exists")
	_, err = redis.AddToxic("", "nothing", "upstream", 1, nil)
	wantError(err, "AddToxic: HTTP 400: invalid toxic type")
	_, err = redis.AddToxic("", "latency", "sideways", 1, nil)
	wantError(err, "AddToxic: HTTP 400: stream was invalid, can be either upstream or downstream")
	_, err = redis.AddToxic("limit", "limit_data", "downstream", 1, toxiproxy.Attributes{"bytes": 10})
	must(err)

	toxic, err = redis.UpdateToxic("latency_upstream", -1, toxiproxy.Attributes{"latency": 200})
	must(err)
	want.Attributes["latency"] = 200.0
	if diff := cmp.Diff(want, toxic); diff != "" {
		t.Errorf("updated (-want +got):\n%s", diff)
	}
	toxics, err := redis.Toxics()
	must(err)
	if names := []string{toxics[0].Name, toxics[1].Name}; !slices.Equal(names, []string{"latency_upstream", "limit"}) {
		t.Errorf("toxics %v", names)
	}

	listen := redis.Listen
	must(redis.Disable())
	again, err := client.Proxy("redis")
	must(err)
	if again.Enabled || len(again.ActiveToxics) != 2 {
		t.Errorf("disabled: %+v, want its toxics kept", again)
	}
	must(redis.Enable())
	redis.Upstream = "127.0.0.1:2"
	must(redis.Save())
	all, err := client.Proxies()
	must(err)
	if got := all["redis"]; len(all) != 1 || got.Upstream != "127.0.0.1:2" || got.Listen != listen || !got.Enabled || len(got.ActiveToxics) != 2 {
		t.Errorf("saved %+v", got)
	}
	must(redis.RemoveToxic("limit"))
	wantError(redis.RemoveToxic("limit"), "HTTP 404: toxic not found")

	populated, err := client.Populate([]toxiproxy.Proxy{
		{Name: "redis", Listen: listen, Upstream: "127.0.0.1:2", Enabled: true},
		{Name: "other", Listen: "127.0.0.1:0", Upstream: "127.0.0.1:3", Enabled: false},
	})
	must(err)
	if len(populated) != 2 || len(populated[0].ActiveToxics) != 1 || populated[1].Enabled {
		text, _ := json.Marshal(populated)
		t.Errorf("populated %s", text)
	}
	_, err = client.Populate([]toxiproxy.Proxy{{Name: "x"}})
	wantError(err, "HTTP 400: missing required field: upstream at proxy 1")

	must(client.ResetState())
	all, err = client.Proxies()
	must(err)
	if len(all["redis"].ActiveToxics) != 0 || !all["other"].Enabled {
		t.Errorf("reset: %+v and %+v, want no toxics and both enabled", all["redis"], all["other"])
	}
	toxic, err = client.AddToxic(&toxiproxy.ToxicOptions{ProxyName: "other", ToxicName: "slow", ToxicType: "bandwidth", Toxicity: 1,
		Attributes: toxiproxy.Attributes{"rate": 64}, Stream: "downstream"})
	must(err)
	if toxic.Name != "slow" {
		t.Errorf("added %+v", toxic)
	}
	must(client.RemoveToxic(&toxiproxy.ToxicOptions{ProxyName: "other", ToxicName: "slow"}))
	must(redis.Delete())
	wantError(redis.Delete(), "Delete: HTTP 404: proxy not found")
}
