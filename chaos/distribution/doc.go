// Package distribution has the distributions that rulings take their bounds from:
// Student's, and the beta distribution, of which the bounds of a share are
// quantiles. It is pure.
package distribution
