package reports

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// codeProblem is an entry of GitLab's code quality report.
type codeProblem struct {
	Description string       `json:"description"`
	CheckName   string       `json:"check_name"`
	Fingerprint string       `json:"fingerprint"` // by it GitLab takes a problem for the same as before
	Severity    string       `json:"severity"`
	Location    codeLocation `json:"location"`
}

type codeLocation struct {
	Path  string    `json:"path"`
	Lines codeLines `json:"lines"`
}

type codeLines struct {
	Begin int `json:"begin"`
}

// CodeQuality writes the refuted claims as GitLab's code quality report, which
// shows them in merge requests at their lines. An inconclusive claim is no problem
// of the code's. The fingerprint is that of the claim, whatever was measured. Where
// the experiment file is not known, it is that of the run directory.
func CodeQuality(w io.Writer, r *result.Result) error {
	all := []codeProblem{}
	names := claimNames(r)
	file := cmp.Or(r.File, filepath.ToSlash(filepath.Join(r.Dir, "experiment.yaml")))
	for i, v := range r.Verdicts {
		if v.Ruling != judge.Refuted {
			continue
		}
		sum := sha256.Sum256([]byte(r.Name + "\x00" + names[i]))
		all = append(all, codeProblem{
			Description: names[i] + ": " + Clean(v.Reason), CheckName: "stormctl." + Clean(v.Kind), Fingerprint: hex.EncodeToString(sum[:]),
			Severity: "major", Location: codeLocation{Clean(file), codeLines{max(1, v.Line)}},
		})
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("write result of %s as code quality report: %w", r.Name, err)
	}
	_, err = w.Write(append(CleanJSON(text), '\n'))
	return err
}
