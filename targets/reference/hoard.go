package reference

import (
	"os"
	"sync"
)

// hoard is what a service with the flaw hoards never lets go.
type hoard struct {
	mu    sync.Mutex
	pages [][]byte
	files []*os.File
}

// keep keeps more: memory each time, and now and then descriptors.
func (h *hoard) keep() {
	kept := make([]byte, 64<<10)
	for i := 0; i < len(kept); i += 512 {
		kept[i] = 1 // memory is taken when it is written to
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pages = append(h.pages, kept)
	if len(h.pages)%10 != 0 {
		return
	}
	if r, w, err := os.Pipe(); err == nil { // without a descriptor left it cannot keep more
		h.files = append(h.files, r, w)
	}
}

// drop lets all of it go.
func (h *hoard) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.files {
		_ = f.Close() // nothing was written to it
	}
	h.pages, h.files = nil, nil
}
