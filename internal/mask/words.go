package mask

// words finds any of a fixed set of lower-case words in a text in one pass
// (Aho-Corasick over folded ASCII). It is read-only once built.
type words struct {
	class [256]uint8 // column of a byte; 0 for bytes that stand in no word
	width uint32
	next  []uint32 // next[state+class] is the next state, already multiplied by width
	ends  [][]int  // ends[state/width]: the words that end there
	size  []int    // length of each word in bytes
}

// newWords builds the automaton. A word is named by its index in list.
func newWords(list []string) *words {
	w := &words{width: 1}
	for _, word := range list {
		w.size = append(w.size, len(word))
		for i := range len(word) {
			if w.class[word[i]] == 0 {
				w.class[word[i]] = uint8(w.width)
				w.width++
			}
		}
	}
	for c := byte('a'); c <= 'z'; c++ {
		w.class[c-'a'+'A'] = w.class[c]
	}
	w.addState()
	for n, word := range list {
		state := uint32(0)
		for i := range len(word) {
			at := state + uint32(w.class[word[i]])
			if w.next[at] == 0 {
				w.next[at] = w.addState()
			}
			state = w.next[at]
		}
		w.ends[state/w.width] = append(w.ends[state/w.width], n)
	}
	w.link()
	return w
}

func (w *words) addState() uint32 {
	state := uint32(len(w.next))
	w.next = append(w.next, make([]uint32, w.width)...)
	w.ends = append(w.ends, nil)
	return state
}

// link turns the trie into an automaton, breadth first: a missing edge becomes
// that of the longest proper suffix, and a state also ends what its suffix ends.
func (w *words) link() {
	suffix := make([]uint32, len(w.ends))
	var queue []uint32
	for c := range w.width {
		if s := w.next[c]; s != 0 {
			queue = append(queue, s)
		}
	}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		back := suffix[state/w.width]
		w.ends[state/w.width] = append(w.ends[state/w.width], w.ends[back/w.width]...)
		for c := range w.width {
			if to := w.next[state+c]; to != 0 {
				suffix[to/w.width] = w.next[back+c]
				queue = append(queue, to)
			} else {
				w.next[state+c] = w.next[back+c]
			}
		}
	}
}

// in reports whether text holds any of the words, in either case.
func (w *words) in(text []byte) bool {
	state := uint32(0)
	for _, c := range text {
		state = w.next[state+uint32(w.class[c])]
		if len(w.ends[state/w.width]) > 0 {
			return true
		}
	}
	return false
}
