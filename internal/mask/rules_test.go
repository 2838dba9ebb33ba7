package mask

import (
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
)

// sample draws a text that an expression matches.
func sample(r *rand.Rand, re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		var printable []rune
		for c := ' '; c <= '~'; c++ {
			for i := 0; i < len(re.Rune); i += 2 {
				if c >= re.Rune[i] && c <= re.Rune[i+1] {
					printable = append(printable, c)
				}
			}
		}
		if len(printable) == 0 {
			return string(re.Rune[0])
		}
		return string(printable[r.IntN(len(printable))])
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return string("..x4Q"[r.IntN(5)]) // several rules forgot the backslash before a host's dot
	case syntax.OpCapture:
		return sample(r, re.Sub[0])
	case syntax.OpStar:
		return repeat(r, re.Sub[0], r.IntN(3))
	case syntax.OpPlus:
		return repeat(r, re.Sub[0], 1+r.IntN(3))
	case syntax.OpQuest:
		return repeat(r, re.Sub[0], r.IntN(2))
	case syntax.OpRepeat:
		most := re.Max
		if most < 0 || most > re.Min+6 {
			most = re.Min + 6
		}
		return repeat(r, re.Sub[0], re.Min+r.IntN(most-re.Min+1))
	case syntax.OpConcat:
		var b strings.Builder
		for _, sub := range re.Sub {
			b.WriteString(sample(r, sub))
		}
		return b.String()
	case syntax.OpAlternate:
		return sample(r, re.Sub[r.IntN(len(re.Sub))])
	}
	return ""
}

func repeat(r *rand.Rand, re *syntax.Regexp, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(sample(r, re))
	}
	return b.String()
}

// oracle applies a rule as gitleaks does: expression, entropy and allowances
// over the whole text, no short cut.
func oracle(r *rule, text []byte) bool {
	loc := r.re.FindSubmatchIndex(text)
	if loc == nil {
		return false
	}
	a, b := loc[0], loc[1]
	for g := 2; g < len(loc); g += 2 {
		if loc[g] >= 0 && loc[g+1] > loc[g] {
			a, b = loc[g], loc[g+1]
			break
		}
	}
	return entropy(text[a:b]) > r.entropy && !r.allowed(text[a:b], text[loc[0]:loc[1]], line(text, loc[0], loc[1]))
}

// The short cuts must not lose what an expression finds. generic-api-key and
// private-key have no expression at work and tests of their own.
func TestShortCutsLoseNothing(t *testing.T) {
	m := newMasker(t)
	rng := rand.New(rand.NewPCG(11, 13))
	for i := range m.rules {
		r := &m.rules[i]
		if i == m.generic || i == m.private {
			continue
		}
		tree, err := syntax.Parse(r.re.String(), syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		hits := 0
		for range 25 {
			secret := sample(rng, tree)
			text := strings.Repeat("ordinary words ", rng.IntN(80)) + near(m.keywordsOf(i), r.re.String()) + secret + " and more words"
			if !oracle(r, []byte(text)) || !slices.ContainsFunc(m.keywordsOf(i), func(k string) bool {
				return strings.Contains(strings.ToLower(text), k)
			}) {
				continue
			}
			hits++
			if got := m.String(text); !strings.Contains(got, maskOpen) {
				t.Errorf("rule %s: String(%q) was left alone; want it masked", r.id, text[max(0, len(text)-len(secret)-40):])
			}
		}
		if hits == 0 {
			t.Errorf("rule %s: no sample was found by the rule itself", r.id)
		}
	}
}

// near is a keyword to put before a sample when the expression holds none: the
// rule then wants it somewhere in the text.
func near(keywords []string, expr string) string {
	for _, k := range keywords {
		if strings.Contains(strings.NewReplacer(`\`, "", "[_-]?", "_").Replace(strings.ToLower(expr)), k) {
			return ""
		}
	}
	return keywords[0] + " "
}

// keywordsOf lists the words that call for rule n.
func (m *Masker) keywordsOf(n int) []string {
	var out []string
	for k := range m.keywords {
		if slices.Contains(m.keywords[k].rules, n) {
			out = append(out, m.list[k])
		}
	}
	return out
}
