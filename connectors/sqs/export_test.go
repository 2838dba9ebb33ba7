package sqs

import "net/url"

// Watched reports whether a daemon watches.
func (s *Source) Watched() bool { return s.watched.Load() }

// RegionOf is the region that a Config comes to.
func RegionOf(c Config) string {
	if c.Region != "" {
		return c.Region
	}
	u, err := url.Parse(c.QueueURL)
	if err != nil {
		return ""
	}
	return regionOf(u.Hostname())
}
