package judge

import (
	"encoding/json"
	"math"
	"testing"
)

func TestNumbersKeepTheirOrderInJSON(t *testing.T) {
	for _, c := range []struct {
		in   Numbers
		want string
	}{
		{nil, `{}`},
		{Numbers{{"z", 1}, {"a_ms", 0.5}, {"m", 37}}, `{"z":1,"a_ms":0.5,"m":37}`},
		{Numbers{{`q"uote`, 1}}, `{"q\"uote":1}`},
		{Numbers{{"none", math.NaN()}, {"inf", math.Inf(1)}}, `{"none":null,"inf":null}`},
	} {
		text, err := json.Marshal(c.in)
		if err != nil || string(text) != c.want {
			t.Errorf("%v: %s, %v, want %s", c.in, text, err, c.want)
			continue
		}
		var back Numbers
		if err := json.Unmarshal(text, &back); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if again, err := json.Marshal(back); err != nil || string(again) != c.want {
			t.Errorf("%s read and written again: %s, %v", text, again, err)
		}
	}
}

func TestNumbersRefuseWhatTheyAreNot(t *testing.T) {
	for _, text := range []string{`[]`, `"x"`, `{"a":"b"}`, `{"a":[1]}`, `1`} {
		var n Numbers
		if err := json.Unmarshal([]byte(text), &n); err == nil {
			t.Errorf("%s: read as %v", text, n)
		}
	}
}
