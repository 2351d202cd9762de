package http

import (
	"context"

	"golang.org/x/net/http2"
)

// A caller goes by the first SETTINGS that it gets: whether it may ask for a tunnel
// (RFC 8441) is decided by them alone in clients, and how many streams it opens at
// first. So the dependency is dialled as soon as the caller has begun, and the
// SETTINGS to the caller wait for its own:
//
//	caller ── preface ──▶ dial ──▶ dependency
//	caller ◀── SETTINGS ◀─ greet ◀─ SETTINGS ──┘
//
// They do not wait where there is nothing to wait for (the dependency cannot be
// reached), nor where the caller is owed something before: an answer of ours.

// greet says what the caller may do, once. What control frames are there already
// go behind it. mu is locked.
func (m *h2Conn) greet() {
	if m.greeted {
		return
	}
	m.greeted = true
	m.offered = min(m.limit, maxStreams)
	if !m.settled {
		m.offered = maxStreams
	}
	c := &m.caller
	behind := c.out
	c.out, c.mute = nil, false
	settings := []http2.Setting{
		{ID: http2.SettingMaxConcurrentStreams, Val: uint32(m.offered)},
		{ID: http2.SettingInitialWindowSize, Val: window},
		{ID: http2.SettingMaxHeaderListSize, Val: maxList},
	}
	if m.connects {
		settings = append(settings, http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
	}
	_ = c.control.WriteSettings(settings...)
	c.widen()
	c.out = append(c.out, behind...)
}

// offer tells the caller what it may do from now on, where that has changed. mu is
// locked.
func (m *h2Conn) offer(limit int, connects bool) {
	var changed []http2.Setting
	// The caller would open more with us than with the dependency.
	if known := min(limit, maxStreams); known != m.offered {
		m.offered = known
		changed = append(changed, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: uint32(known)})
	}
	if connects && !m.connects { // it cannot be taken back
		changed = append(changed, http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
	}
	m.limit, m.connects = limit, m.connects || connects
	switch {
	case !m.greeted:
		m.greet()
	case len(changed) > 0:
		_ = m.caller.control.WriteSettings(changed...)
	}
}

// dial starts the dependency's side. mu is locked.
func (m *h2Conn) dial() {
	if m.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	m.relay.life.WG.Go(func() {
		defer cancel()
		m.runUp(ctx)
	})
}

// unreached handles that the dependency could not be dialled. A request that waits
// for it fails; if there is none, the next one has it dialled again.
func (m *h2Conn) unreached() {
	m.mu.Lock()
	if len(m.waiting) > 0 {
		m.end(true)
	} else {
		m.cancel = nil
		m.greet()
	}
	m.unlock()
}
