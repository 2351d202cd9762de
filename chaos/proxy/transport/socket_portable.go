//go:build !linux || portable

package transport

import "net"

// socket is a TCP connection as a transport, as package net has it.
type socket struct{ *net.TCPConn }

func NewSocket(conn *net.TCPConn) *socket { return &socket{conn} }
