package reports

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/reports/chart"
)

// claimLine is a claim on the first screen: what it is, and why it was ruled so.
type claimLine struct {
	Class, Mark, Ruling string
	Claim, Anchor       string
	Why                 []reason

	ruling judge.Ruling
}

// reason is a part that decided, behind its key.
type reason struct{ Key, Text string }

// mostReason is how much of a reason is shown, in characters.
const mostReason = 1500

func (p *htmlPage) claimLines(r *result.Result, d detail) {
	for i, v := range r.Verdicts {
		if i == 1000 {
			p.NoClaims = ""
			p.Claims = append(p.Claims, claimLine{Mark: "–", Claim: otherText(len(r.Verdicts)-i, "claim", " in "+result.File)})
			break
		}
		line := claimLine{Class: v.Ruling.String(), Mark: Mark(v.Ruling), Ruling: v.Ruling.String(), Claim: shown(claimTitle(v), 600)}
		if i < d.claims {
			line.Anchor = anchor(i)
		}
		line.Why, line.ruling = reasons(v), v.Ruling
		p.Claims = append(p.Claims, line)
	}
	// What failed is on the first screen, however many claims have held.
	slices.SortStableFunc(p.Claims, func(a, b claimLine) int { return cmp.Compare(b.ruling, a.ruling) })
}

func anchor(i int) string { return "claim-" + strconv.Itoa(i+1) }

// reasons are the parts that made the ruling; of one that held, all in a sentence.
func reasons(v judge.Verdict) (all []reason) {
	if v.Void != "" {
		return []reason{{Text: shown(v.Void, mostReason)}}
	}
	if v.Ruling != judge.Held {
		for _, part := range v.Parts {
			if part.Ruling == v.Ruling && !part.Note {
				all = append(all, reason{Key: nameOf(part.Name), Text: shown(part.Reason, mostReason)})
			}
		}
	}
	if len(all) == 0 {
		all = []reason{{Text: shown(v.Reason, mostReason)}}
	}
	if v.Despite != "" {
		all = append(all, reason{Key: "stands all the same", Text: shown(v.Despite, mostReason)})
	}
	return all
}

// article is a claim with all that shows it.
type article struct {
	Class, Mark, Ruling string
	Claim, Anchor       string
	Said                []string
	Parts               []articlePart
	Exhibits            []exhibitGroup
	More                string
	Numbers             []fact
	IDs                 string
}

// exhibitGroup is one exhibit, which may take several charts.
type exhibitGroup struct {
	Title   string
	Columns bool // side by side where there is room
	Figures []figure
}

type articlePart struct {
	Class, Mark, Ruling string
	Name, Reason        string
	Bar                 template.HTML
	IDs                 string
}

// articles are the claims one by one, as many as the page has room for.
func (p *htmlPage) articles(r *result.Result, d detail, bands []chart.Band) error {
	left := d.exhibits
	for i, v := range r.Verdicts {
		if i == d.claims {
			break
		}
		a := article{Class: v.Ruling.String(), Mark: Mark(v.Ruling), Ruling: v.Ruling.String(), Claim: shown(claimTitle(v), 600),
			Anchor: anchor(i)}
		if v.Void != "" {
			a.Said = append(a.Said, shown(v.Void, mostReason))
		}
		if len(v.Parts) == 0 && v.Void == "" {
			a.Said = append(a.Said, shown(v.Reason, mostReason))
		}
		if v.Despite != "" {
			a.Said = append(a.Said, "It stands all the same: "+shown(v.Despite, mostReason))
		}
		for k, part := range v.Parts {
			shownPart, err := partOf(fmt.Sprintf("part-%d-%d", i, k), part)
			if err != nil {
				return err
			}
			a.Parts = append(a.Parts, shownPart)
		}
		for _, n := range v.Numbers {
			a.Numbers = append(a.Numbers, fact{nameOf(n.Name), number4(n.Value)})
		}
		if len(v.IDs) > 0 {
			a.IDs = joinIDs(v.IDs)
		}
		n := min(left, len(v.Exhibits))
		for k, e := range v.Exhibits[:n] {
			if err := p.exhibit(&a, fmt.Sprintf("e%d-%d", i, k), e, r, bands); err != nil {
				return err
			}
		}
		a.More = otherText(len(v.Exhibits)-n, "exhibit", " in "+result.File)
		left -= n
		p.Articles = append(p.Articles, a)
	}
	return nil
}

// number4 prints a measured figure with four significant digits, whole ones and those
// from 1,000 on whole: 12345.6 is "12,346".
func number4(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return unknown
	}
	if abs := math.Abs(v); (abs >= 999.95 || v == math.Trunc(v)) && abs < 1e15 {
		return grouped(strconv.FormatFloat(v, 'f', 0, 64))
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// partOf is a part with its figure drawn beside what is claimed.
func partOf(id string, part judge.Part) (articlePart, error) {
	a := articlePart{Class: part.Ruling.String(), Mark: Mark(part.Ruling), Ruling: part.Ruling.String(),
		Name: nameOf(part.Name), Reason: shown(part.Reason, mostReason)}
	if part.Note {
		a.Class, a.Mark, a.Ruling = "soft", "–", "not claimed"
	}
	if len(part.IDs) > 0 {
		a.IDs = joinIDs(part.IDs[:min(len(part.IDs), 5)])
		if more := len(part.IDs) - 5; more > 0 {
			a.IDs += fmt.Sprintf(" and %d more", more)
		}
	}
	if part.Seen == nil {
		return a, nil
	}
	bar := chart.Interval{ID: id, SeenLow: part.Seen.Low, SeenHigh: part.Seen.High, AllowedLow: math.Inf(-1), AllowedHigh: math.Inf(1),
		SeenText: spanText(part.Unit, part.Seen.Low, part.Seen.High), Tone: rulingTone(part)}
	bar.Text = "seen " + bar.SeenText
	if part.Allowed != nil {
		bar.AllowedLow, bar.AllowedHigh = part.Allowed.Low, part.Allowed.High
		bar.AllowedText = spanText(part.Unit, part.Allowed.Low, part.Allowed.High)
		bar.Text += ", claimed " + bar.AllowedText
	}
	var err error
	a.Bar, err = bar.SVG()
	return a, err
}

func rulingTone(part judge.Part) chart.Tone {
	switch {
	case part.Note:
		return chart.Gray
	case part.Ruling == judge.Held:
		return chart.Green
	case part.Ruling == judge.Refuted:
		return chart.Red
	}
	return chart.Orange
}

// spanText prints what lies between two figures, either of which may be infinite.
func spanText(unit string, low, high float64) string {
	print := func(v float64) string {
		switch unit {
		case "ms":
			return Millis(v)
		case "pct":
			return Percent(v)
		case "times":
			return number4(v) + "×"
		case "mib_per_h":
			return number4(v) + " MiB/h"
		case "per_h":
			return number4(v) + "/h"
		case "pct_per_h":
			return number4(v) + "%/h"
		}
		return number4(v)
	}
	switch {
	case math.IsInf(low, -1) && math.IsInf(high, 1):
		return "anything"
	case math.IsInf(low, -1) && high == 0:
		return "none"
	case math.IsInf(low, -1):
		return "at most " + print(high)
	case math.IsInf(high, 1):
		return "at least " + print(low)
	case print(low) == print(high):
		return print(low)
	}
	return print(low) + " to " + print(high)
}
