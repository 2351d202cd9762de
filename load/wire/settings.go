package wire

import "encoding/binary"

// Settings are those of a peer's settings that matter to a client
// (RFC 9113 section 6.5.2). Its maximum frame size is not one of them, as no
// frame of ours is above the least that it can be.
type Settings struct {
	MaxStreams int   // that may be open at once
	Window     int64 // of a stream at its start
	// SmallTable says that the peer's header table is or was below the default. Then
	// we use none, and the peer must be told: see AppendTablelessHead.
	SmallTable bool
}

// DefaultWindow is the window of a connection, and of a stream as long as no
// setting says otherwise.
const DefaultWindow = 1<<16 - 1

// DefaultSettings are those of a peer that has said nothing.
func DefaultSettings() Settings { return Settings{MaxStreams: MaxStream, Window: DefaultWindow} }

const (
	settingTable        = 1
	settingEnablePush   = 2
	settingMaxStreams   = 3
	settingWindow       = 4
	settingMaxFrameSize = 5
	settingMaxList      = 6

	settingSize = 6
)

// Update takes the payload of a server's SETTINGS frame. An error wraps
// ErrMalformed.
func (s *Settings) Update(payload []byte) error {
	for ; len(payload) >= settingSize; payload = payload[settingSize:] {
		value := binary.BigEndian.Uint32(payload[2:])
		switch binary.BigEndian.Uint16(payload) {
		case settingTable:
			s.SmallTable = s.SmallTable || value < headerTable
		case settingEnablePush:
			if value != 0 {
				return errSetting
			}
		case settingMaxStreams:
			s.MaxStreams = int(min(value, MaxStream))
		case settingWindow:
			if value > MaxStream {
				return errSetting
			}
			s.Window = int64(value)
		case settingMaxFrameSize:
			if value < MaxFrame || value >= 1<<24 {
				return errSetting
			}
		}
	}
	return nil
}

// AppendPreface appends what a client says first: that this is HTTP/2, that it
// takes no pushes and no fields over MaxList, and how much it takes of responses
// on a stream and on the connection before it says more. Neither window may be below DefaultWindow.
func AppendPreface(dst []byte, stream, conn int) []byte {
	dst = append(dst, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"...)
	dst = appendFrameHead(dst, 3*settingSize, FrameSettings, 0, 0)
	dst = appendSetting(dst, settingEnablePush, 0)
	dst = appendSetting(dst, settingWindow, uint32(stream))
	dst = appendSetting(dst, settingMaxList, MaxList)
	if conn == DefaultWindow {
		return dst
	}
	return AppendWindowUpdate(dst, 0, conn-DefaultWindow)
}

func appendSetting(dst []byte, id uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(dst, id), value)
}

// AppendSettingsAck appends the answer to SETTINGS.
func AppendSettingsAck(dst []byte) []byte {
	return appendFrameHead(dst, 0, FrameSettings, flagAck, 0)
}
