package targets

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOutputIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	p := Process{Output: path}
	file, _, err := p.openOutput()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	b := newBound(file)
	b.most = 1000
	wrote := 0
	for i := range 500 { // lines of 10 bytes
		n, err := fmt.Fprintf(file, "line %04d\n", i)
		if err != nil {
			t.Fatal(err)
		}
		wrote += n
		if i%20 == 0 {
			if err := b.look(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.look(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	if len(got) > 1000 || !strings.HasPrefix(got, "line 0000\nline 0001\n") || !strings.HasSuffix(got, "line 0498\nline 0499\n") {
		t.Errorf("%d bytes:\n%s", len(got), got)
	}
	// What is neither there nor counted as cut out is lost in silence.
	var cut int
	_, mark, _ := strings.Cut(got, "[stormctl: some ")
	if _, err := fmt.Sscanf(mark, "%d bytes were cut out here", &cut); err != nil {
		t.Fatalf("%v in:\n%s", err, got)
	}
	note, _, _ := strings.Cut(mark, "\n")
	if there := len(got) - len("\n[stormctl: some "+note+"\n"); there+cut != wrote {
		t.Errorf("%d bytes there and %d cut out are not the %d that were written", there, cut, wrote)
	}
}

// Of a target of a soak the beginning and the end are kept, however much it says.
func TestOutputOfASoakKeepsBothEnds(t *testing.T) {
	t.Setenv(outputEnv, "1")
	path := filepath.Join(t.TempDir(), "x.log")
	file, _, err := Process{Output: path}.openOutput()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	b := newBound(file)
	if b.most != 17<<20 || b.first != 1<<20 || b.last != 8<<20 {
		t.Fatalf("%+v", b)
	}
	b.most, b.first, b.last = 1700, 100, 800
	for i := range 1000 {
		fmt.Fprintf(file, "line %04d\n", i)
		if err := b.look(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	if len(got) > 1700 || !strings.HasPrefix(got, "line 0000\n") || !strings.Contains(got, "line 0009\n\n[stormctl: some ") ||
		!strings.HasSuffix(got, "line 0999\n") || strings.Count(got, "line ") < 80 {
		t.Errorf("%d bytes:\n%s", len(got), got)
	}
}

func TestWhatIsNoFileNeedsNoBound(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if b := newBound(null); b != nil || b.look() != nil {
		t.Error("it is bounded")
	}
}
