package toxic

// What a link may speak. It decides what its faults are about.
const (
	ProtocolHTTP1 = "http1" // exchanges
	ProtocolHTTP2 = "h2"    // exchanges, by prior knowledge, or by ALPN where there is TLS; HTTP/1.1 passes too
	ProtocolGRPC  = "grpc"  // ProtocolHTTP2, and calls are answered and recorded by their gRPC status
	ProtocolTCP   = "tcp"   // connections and their bytes, whatever is spoken on them
)
