package reference

import (
	"strings"
	"testing"
)

func TestNodesOfACluster(t *testing.T) {
	for cluster, want := range map[string]string{
		"127.0.0.1:9 127.0.0.1:10": "127.0.0.1:0 is not among its nodes",
		"127.0.0.1:0 10.0.0.1:9":   "10.0.0.1:9 is no address of 127.0.0.0/8",
		"127.0.0.1:0 n2:9":         "cluster: ",
	} {
		err := Serve(t.Context(), "broker", Config{Listen: "127.0.0.1:0", Dir: t.TempDir(), With: map[string]string{"cluster": cluster}}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", cluster, err, want)
		}
	}
	at, err := besides("127.0.0.1:4222")
	if got, want := at.String(), "127.0.0.2:4222"; got != want || err != nil {
		t.Errorf("others find it at %s, want %s: %v", got, want, err)
	}
}
