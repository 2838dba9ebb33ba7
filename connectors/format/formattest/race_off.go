//go:build !race

package formattest

const slower = 1
