package main

import (
	"errors"
	"strconv"
)

// seedFlag is a number that knows whether it was given: the experiment's own
// seed counts unless there is one.
type seedFlag struct {
	value uint64
	given bool
}

func (s *seedFlag) String() string {
	if !s.given {
		return ""
	}
	return strconv.FormatUint(s.value, 10)
}

func (s *seedFlag) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return errors.New("a seed is a whole number from 0")
	}
	s.value, s.given = n, true
	return nil
}

func (*seedFlag) Type() string { return "number" }
