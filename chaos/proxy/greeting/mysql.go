package greeting

import "strconv"

// mysql reads the connection phase of MySQL and MariaDB: packets of three bytes of
// length and one of sequence. The server greets, or refuses with ERR (0xff and a
// number) at once; then there is an exchange of authentication, which ends in OK or ERR.
func mysql(said []byte) (code string, rest []byte, more bool) {
	for len(said) >= 4 {
		length := int(said[0]) | int(said[1])<<8 | int(said[2])<<16
		if length == 0 || length > most {
			return "", nil, false // of TLS
		}
		if len(said) < 4+length {
			return "", said, true
		}
		switch body := said[4 : 4+length]; body[0] {
		case 0xff:
			if length < 3 {
				return "", nil, false
			}
			return strconv.Itoa(int(body[1]) | int(body[2])<<8), nil, false
		case 0x00:
			return OK, nil, false
		case 0x0a, 0x01, 0xfe: // the greeting, more of an exchange, another method
		default:
			return "", nil, false
		}
		said = said[4+length:]
	}
	return "", said, true
}
