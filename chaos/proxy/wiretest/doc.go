// Package wiretest is what the tests of the relays share: a relay with all that it
// records, and a caller and a dependency that see every byte.
package wiretest
