package sqs

import "net/url"

// Signal has Watch tell of a change.
func (s *Source) Signal() { s.again <- struct{}{} }

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
