package result

// Chapters are what the chapters of a soak came to. Each has a line in chapters.jsonl.
type Chapters struct {
	Held         int   `json:"held"`
	Inconclusive int   `json:"inconclusive"`
	Refuted      int   `json:"refuted"`
	Kept         []int `json:"kept"` // those whose evidence is kept: chapters/NUMBER of the run directory
}
