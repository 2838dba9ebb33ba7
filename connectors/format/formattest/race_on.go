//go:build race

package formattest

// slower is how many times as long everything takes with the race detector.
const slower = 20
