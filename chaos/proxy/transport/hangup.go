package transport

// Reset closes conn with a RST instead of a FIN, dropping what is unsent.
func Reset(conn Conn) {
	_ = conn.SetLinger(0) // fails only on a connection that is gone already
	_ = conn.Close()
}
