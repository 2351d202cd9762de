package load

const bestTransport = Epoll

var systemTransports = map[string]func(*loop) (transport, error){
	"":      newEpoll,
	Epoll:   newEpoll,
	IOURing: newSubmit,
}
