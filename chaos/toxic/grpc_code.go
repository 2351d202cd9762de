package toxic

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// GRPCCode is a gRPC status other than OK, written by its name or its number.
// 0 means none.
type GRPCCode int

// grpcCodes are the names of the statuses, by number, as google.rpc.Code has
// them.
var grpcCodes = []string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
	"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// ParseGRPCCode reads "UNAVAILABLE" or "14".
func ParseGRPCCode(text string) (GRPCCode, error) {
	text = strings.TrimSpace(text)
	n := slices.Index(grpcCodes, text)
	if n < 0 {
		number, err := strconv.ParseUint(text, 10, 8)
		if err != nil || int(number) >= len(grpcCodes) {
			return 0, fmt.Errorf("%q is not a gRPC status: write it like UNAVAILABLE or 14", text)
		}
		n = int(number)
	}
	if n == 0 {
		return 0, fmt.Errorf("%q is no error", text)
	}
	return GRPCCode(n), nil
}

// Set reads what ParseGRPCCode does.
func (c *GRPCCode) Set(text string) (err error) {
	*c, err = ParseGRPCCode(text)
	return err
}

// Notation is a regular expression for the names, and an example.
func (GRPCCode) Notation() (pattern, example string) { return `^[A-Z_]+$`, "UNAVAILABLE" }

func (c GRPCCode) String() string {
	if c >= 0 && int(c) < len(grpcCodes) {
		return grpcCodes[c]
	}
	return strconv.Itoa(int(c))
}
