package testbed

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

func TestResolveRefusesWhatIsOutside(t *testing.T) {
	list, err := parseAllow(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := list.resolve(context.Background(), "localhost:8080")
	if err != nil || !got[0].Addr().IsLoopback() || got[0].Port() != 8080 {
		t.Errorf("localhost:8080 is %v, %v", got, err)
	}
	if got, err := list.resolve(context.Background(), "[::1%lo]:80"); err != nil || fmt.Sprint(got) != "[[::1%lo]:80]" {
		t.Errorf("[::1%%lo]:80 is %v, %v: want it with its zone", got, err)
	}
	if got, err := list.resolve(context.Background(), "10.0.0.1:80"); err == nil || !strings.Contains(err.Error(), "10.0.0.1:80 is outside limits.allow") {
		t.Errorf("10.0.0.1:80 is %v, %v", got, err)
	}
}
