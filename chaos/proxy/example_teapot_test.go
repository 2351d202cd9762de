package proxy

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// Teapot answers what is asked for coffee with 418.
type Teapot struct {
	toxic.Select `yaml:",inline"`
}

// DecideExchange answers what Select takes.
func (t Teapot) DecideExchange(*toxic.Head, *rand.Rand) toxic.Fate {
	return toxic.Fate{Verb: toxic.Respond, Status: http.StatusTeapot, Body: "short and stout"}
}

// String is like "teapot to GET /coffee".
func (t Teapot) String() string { return "teapot to " + t.Select.String() }

func ExampleRelay_teapot() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "coffee") }))
	defer server.Close()
	link, err := Listen(Config{Name: "kitchen", Upstream: server.Listener.Addr().String()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer link.Close()
	ask := func() {
		res, err := http.Get("http://" + link.Addr() + "/coffee")
		if err != nil {
			fmt.Println(err)
			return
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		fmt.Println(res.StatusCode, string(body))
	}

	heal, err := link.Add(0, Teapot{toxic.Select{Share: 1, First: 2}}, toxic.Both)
	if err != nil {
		fmt.Println(err)
		return
	}
	ask()
	ask()
	ask()
	fmt.Println("hit", link.Hit(0))
	heal()
	ask()
	// Output:
	// 418 short and stout
	// 418 short and stout
	// 200 coffee
	// hit 2
	// 200 coffee
}
