package greeting

import (
	"encoding/binary"
	"strconv"
)

// The methods of class connection that matter (AMQP 0-9-1, section 1.4.2).
const (
	amqpConnection = 10
	amqpOpenOK     = 41
	amqpClose      = 50
)

// amqp reads frames of AMQP 0-9-1 until the connection is open, or closed with a
// reply code like 530. Every other class of method is of an open connection.
func amqp(said []byte) (code string, rest []byte, more bool) {
	for {
		if len(said) >= 4 && string(said[:4]) == "AMQP" {
			return "version", nil, false // it speaks another version, and says which
		}
		if len(said) < 7 {
			return "", said, true
		}
		size := int(binary.BigEndian.Uint32(said[3:]))
		if said[0] == 0 || said[0] > 8 || size > most {
			return "", nil, false
		}
		if len(said) < 7+size+1 {
			return "", said, true
		}
		body := said[7 : 7+size]
		if said[0] == 1 && size >= 4 {
			class, method := binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:])
			switch {
			case class != amqpConnection, method == amqpOpenOK:
				return OK, nil, false
			case method == amqpClose && size >= 6:
				return strconv.Itoa(int(binary.BigEndian.Uint16(body[4:]))), nil, false
			}
		}
		said = said[7+size+1:]
	}
}
