package config

import "slices"

// Rename is a source or sink that goes on under another name.
type Rename struct {
	Kind string // source or sink
	From string
	To   string
}

// Lost is a source or sink that a configuration no longer knows, though nothing
// in it says what became of it.
type Lost struct {
	Kind string // source or sink
	Name string
}

// Change is what a reload would do to the names of sources and sinks.
type Change struct {
	Lost    []Lost // a reload with any is refused
	Renamed []Rename
}

// Diff compares the names of two configurations. An entry that old had and new
// has not is lost, unless an entry of new says formerly: or old said retired: true.
func Diff(old, new *Config) Change {
	var ch Change
	var names []string
	for _, s := range old.Sources {
		if !s.Retired {
			names = append(names, s.Name)
		}
	}
	ch.compare("source", names, new.sourceEntries())
	names = nil
	for _, s := range old.Sinks {
		if !s.Retired {
			names = append(names, s.Name)
		}
	}
	ch.compare("sink", names, new.sinkEntries())
	return ch
}

// Missing is Diff against names that are known from elsewhere, such as state.
func (c *Config) Missing(sources, sinks []string) Change {
	var ch Change
	ch.compare("source", sources, c.sourceEntries())
	ch.compare("sink", sinks, c.sinkEntries())
	return ch
}

func (c *Config) sourceEntries() []entry {
	var all []entry
	for _, s := range c.Sources {
		all = append(all, entry{name: s.Name, formerly: s.Formerly})
	}
	return all
}

func (c *Config) sinkEntries() []entry {
	var all []entry
	for _, s := range c.Sinks {
		all = append(all, entry{name: s.Name, formerly: s.Formerly})
	}
	return all
}

func (ch *Change) compare(kind string, names []string, now []entry) {
	for _, name := range names {
		if slices.ContainsFunc(now, func(e entry) bool { return e.name == name }) {
			continue
		}
		i := slices.IndexFunc(now, func(e entry) bool { return slices.Contains(e.formerly, name) })
		if i < 0 {
			ch.Lost = append(ch.Lost, Lost{kind, name})
			continue
		}
		ch.Renamed = append(ch.Renamed, Rename{kind, name, now[i].name})
	}
}
