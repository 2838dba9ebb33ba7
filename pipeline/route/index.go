package route

import (
	"maps"
	"slices"
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

// index finds, among the children of one node, those that a finding can match
// at all, in file order. Each child stands under one condition that it
// requires, the one that it shares with the fewest of the others; a child
// without a usable one is always tried. So the result is every child that matches, and few that do not.
type index struct {
	always      []int32
	keys        []keyIndex // all but tags
	tags        map[string]*keyIndex
	accountTags map[string]*keyIndex
}

// keyIndex is the part of the index for one key.
type keyIndex struct {
	key      string
	exact    map[string][]int32
	prefixes map[string][]int32
	lengths  []int // of the prefixes, in bytes
}

// requirement is one thing that a child asks for: a value that is one of exact or starts with one of prefixes.
type requirement struct {
	key             string
	exact, prefixes []string
}

// requirements lists what a child asks for and an index can use.
func requirements(n *node) []requirement {
	var all []requirement
	for _, m := range n.matchers {
		r := requirement{key: m.key}
		for i, p := range m.patterns {
			if m.globs[i] {
				r.prefixes = append(r.prefixes, literalPrefix(p))
			} else {
				r.exact = append(r.exact, p)
			}
		}
		all = append(all, r)
	}
	if n.when != nil {
		for _, e := range n.when.Equalities() {
			if key := keyOf(e.Field); key != "" {
				all = append(all, requirement{key, e.Values, e.Prefixes})
			}
		}
	}
	return slices.DeleteFunc(all, func(r requirement) bool {
		// A finding's own tags are looked up, so a tag that may be missing cannot be found by one.
		isTag := strings.HasPrefix(r.key, tagPrefix) || strings.HasPrefix(r.key, accountTagPrefix)
		return slices.Contains(r.prefixes, "") || isTag && slices.Contains(r.exact, "")
	})
}

func newIndex(children []*node) index {
	x := index{tags: map[string]*keyIndex{}, accountTags: map[string]*keyIndex{}}
	count := map[[2]string]int{}
	required := make([][]requirement, len(children))
	for i, c := range children {
		required[i] = requirements(c)
		for _, r := range required[i] {
			for _, v := range slices.Concat(r.exact, r.prefixes) {
				count[[2]string{r.key, v}]++
			}
		}
	}
	plain := map[string]*keyIndex{}
	for i, all := range required {
		best, least := -1, 0
		for j, r := range all {
			cost := len(r.prefixes) // at equal counts plain texts exclude more
			for _, v := range slices.Concat(r.exact, r.prefixes) {
				cost += 2 * count[[2]string{r.key, v}]
			}
			if best < 0 || cost < least {
				best, least = j, cost
			}
		}
		if best < 0 {
			x.always = append(x.always, int32(i))
			continue
		}
		x.part(plain, all[best].key).add(all[best], int32(i))
	}
	for _, key := range slices.Sorted(maps.Keys(plain)) {
		x.keys = append(x.keys, *plain[key])
	}
	return x
}

// part is the index of one key, made when it is not there yet.
func (x *index) part(plain map[string]*keyIndex, key string) *keyIndex {
	in, name := plain, key
	if tag, ok := strings.CutPrefix(key, tagPrefix); ok {
		in, name = x.tags, tag
	} else if tag, ok := strings.CutPrefix(key, accountTagPrefix); ok {
		in, name = x.accountTags, tag
	}
	if in[name] == nil {
		in[name] = &keyIndex{key: key, exact: map[string][]int32{}, prefixes: map[string][]int32{}}
	}
	return in[name]
}

func (k *keyIndex) add(r requirement, child int32) {
	for _, v := range slices.Compact(slices.Sorted(slices.Values(r.exact))) {
		k.exact[v] = append(k.exact[v], child)
	}
	for _, p := range slices.Compact(slices.Sorted(slices.Values(r.prefixes))) {
		k.prefixes[p] = append(k.prefixes[p], child)
		if at, found := slices.BinarySearch(k.lengths, len(p)); !found {
			k.lengths = slices.Insert(k.lengths, at, len(p))
		}
	}
}

// candidates is a merge of ascending lists of children.
type candidates struct {
	lists [][]int32
	last  int32
	room  [12][]int32 // where lists starts, so that usual trees make no garbage
}

// start gathers the lists for a finding.
func (c *candidates) start(x *index, f *pipeline.Finding) {
	c.lists, c.last = c.room[:0], -1
	c.add(x.always)
	for i := range x.keys {
		k := &x.keys[i]
		one, several := value(f, k.key)
		if several == nil {
			c.look(k, one)
		}
		for _, v := range several {
			c.look(k, v)
		}
	}
	c.tags(x.tags, f.Resource.Tags)
	c.tags(x.accountTags, f.Account.Tags)
}

// tags looks up the tags that both sides know, by the shorter side.
func (c *candidates) tags(known map[string]*keyIndex, tags map[string]string) {
	if len(known) <= len(tags) {
		for name, k := range known {
			if v, ok := tags[name]; ok {
				c.look(k, v)
			}
		}
		return
	}
	for name, v := range tags {
		if k := known[name]; k != nil {
			c.look(k, v)
		}
	}
}

func (c *candidates) look(k *keyIndex, v string) {
	c.add(k.exact[v])
	for _, n := range k.lengths {
		if n > len(v) {
			return
		}
		c.add(k.prefixes[v[:n]])
	}
}

func (c *candidates) add(list []int32) {
	if len(list) > 0 {
		c.lists = append(c.lists, list)
	}
}

// next is the next child to try, each once and in ascending order.
func (c *candidates) next() (int32, bool) {
	for {
		best := -1
		for i, l := range c.lists {
			if len(l) > 0 && (best < 0 || l[0] < c.lists[best][0]) {
				best = i
			}
		}
		if best < 0 {
			return 0, false
		}
		child := c.lists[best][0]
		c.lists[best] = c.lists[best][1:]
		if child != c.last {
			c.last = child
			return child, true
		}
	}
}
