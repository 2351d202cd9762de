package wire

// goesOn reports whether a line that begins with c goes on with the one before it.
func goesOn(c byte) bool { return c == ' ' || c == '\t' }

// unfold reads the lines that go on with a field (obs-fold, RFC 9112 section 5.2),
// of which the first starts at pos. The value is one line, with a space where it was
// folded, and the only one that is not a slice of buf: this is where Parse
// allocates. next is where the line behind them starts: 0 if that is not there yet.
//
// Some readers drop such lines, or take them for fields of their own. So nothing is
// folded here that says where a message ends or whose it is.
func unfold(f Field, buf []byte, pos int, bareLF bool) (value []byte, next int, err error) {
	if deciding(f.Name) {
		return nil, 0, errFolded
	}
	value = append(value, f.Value...)
	for goesOn(buf[pos]) {
		line, next, err := nextLine(buf, pos, bareLF)
		if err != nil || next == 0 {
			return nil, 0, err
		}
		more := trim(line)
		name := 0
		for name < len(more) && class[more[name]]&inToken != 0 {
			name++
		}
		switch {
		case len(more) == 0, name < len(more) && more[name] == ':' && deciding(more[:name]):
			return nil, 0, errFolded
		case !only(more, inValue):
			return nil, 0, errFieldValue
		case next == len(buf):
			return nil, 0, nil
		}
		value = append(append(value, ' '), more...)
		pos = next
	}
	return trim(value), pos, nil
}

// deciding reports whether a field of this name decides where a message ends, or
// what becomes of the connection behind it.
func deciding(name []byte) bool {
	for _, n := range [...]string{"Content-Length", "Transfer-Encoding", "Connection", "Host", "Expect", "Upgrade"} {
		if equalFold(name, n) {
			return true
		}
	}
	return false
}
