//go:build race

package webhooks

func init() { raceEnabled = true }
