package mask

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// rulesJSON is the rule set that gitleaks publishes, as data. The file names
// its source, version and what was left out; LICENSE-rules is its licence.
//
//go:embed rules.json
var rulesJSON []byte

const (
	ruleGeneric    = "generic-api-key"  // matched by hand, see generic.go
	rulePrivateKey = "private-key"      // matched by hand, see pem.go
	ruleAccessKey  = "aws-access-token" // an id more than a secret: keeps its end too
)

type ruleFile struct {
	Allow allowData `json:"allow"`
	Rules []struct {
		ID       string      `json:"id"`
		Regex    string      `json:"regex"`
		Keywords []string    `json:"keywords"`
		Entropy  float64     `json:"entropy"`
		Allow    []allowData `json:"allow"`
	} `json:"rules"`
}

type allowData struct {
	Target    string   `json:"target"` // secret (the default), match or line
	Regexes   []string `json:"regexes"`
	Stopwords []string `json:"stopwords"`
}

// allow says what a match may be without being a credential.
type allow struct {
	target    string
	regexes   []*regexp.Regexp
	stopwords *words
}

// shape tells how cheaply a keyword can be ruled out before the expression runs.
type shape uint8

const (
	shapeToken  shape = iota // the credential is one run of token bytes that holds the keyword
	shapeAssign              // the keyword is in a name; an operator and a value follow
	shapeEither              // the one or the other
	shapeLoose               // several words, or the keyword stands somewhere near: no short cut
)

type rule struct {
	id      string
	re      *regexp.Regexp
	entropy float64
	allow   []allow
	shape   shape
	// literal is what the credential begins with, byte for byte, when the
	// expression says so; boundary: no word byte may stand before it.
	literal  string
	boundary bool
	begins   bool // every credential of the rule begins with one of its keywords, in whatever case
	min      int  // shortest match in bytes
}

// keyword is one word of the automaton and the rules that it calls for.
type keyword struct {
	size    int
	rules   []int
	generic bool
	pem     bool
}

// load compiles the rules. It returns an error when the embedded file is broken.
func (m *Masker) load() error {
	var file ruleFile
	if err := json.Unmarshal(rulesJSON, &file); err != nil {
		return fmt.Errorf("reading the masking rules: %w", err)
	}
	global, err := file.Allow.compile()
	if err != nil {
		return err
	}
	var list []string
	index := map[string]int{}
	for _, d := range file.Rules {
		r := rule{id: d.ID, entropy: d.Entropy, allow: []allow{global}}
		for _, a := range d.Allow {
			c, err := a.compile()
			if err != nil {
				return fmt.Errorf("masking rule %s: %w", d.ID, err)
			}
			r.allow = append(r.allow, c)
		}
		if err := r.compile(d.Regex, d.Keywords); err != nil {
			return fmt.Errorf("masking rule %s: %w", d.ID, err)
		}
		n := len(m.rules)
		m.rules = append(m.rules, r)
		for _, word := range d.Keywords {
			k, known := index[word]
			if !known {
				k = len(list)
				index[word] = k
				list = append(list, word)
				m.keywords = append(m.keywords, keyword{size: len(word)})
			}
			switch d.ID {
			case ruleGeneric:
				m.keywords[k].generic = true
				m.generic = n
			case rulePrivateKey:
				m.keywords[k].pem = true
				m.private = n
			default:
				m.keywords[k].rules = append(m.keywords[k].rules, n)
			}
		}
	}
	m.words, m.list = newWords(list), list
	return nil
}

func (d allowData) compile() (allow, error) {
	a := allow{target: d.Target}
	for _, expr := range d.Regexes {
		re, err := regexp.Compile(expr)
		if err != nil {
			return a, fmt.Errorf("allowance: %w", err)
		}
		a.regexes = append(a.regexes, re)
	}
	if len(d.Stopwords) > 0 {
		a.stopwords = newWords(d.Stopwords)
	}
	return a, nil
}

// semiGeneric is how gitleaks' generator begins the expression of a rule that
// wants "vendor's name, operator, value" (cmd/generate/config/utils).
const (
	semiGeneric    = `[\w.-]{0,50}?`
	semiGenericGap = `[ \t\w.-]{0,20}` // what may stand behind the name
)

func (r *rule) compile(expr string, keywords []string) error {
	re, err := regexp.Compile(expr)
	if err != nil {
		return err
	}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return err
	}
	r.re, r.min = re, minLength(tree)
	r.shape = shapeOf(r.id, expr, keywords)
	if r.shape != shapeToken {
		return nil
	}
	rest, boundary := strings.CutPrefix(expr, `\b`)
	rest = strings.ReplaceAll(strings.TrimLeft(rest, "("), `\.`, ".")
	if len(keywords) == 1 && len(rest) >= len(keywords[0]) && strings.EqualFold(rest[:len(keywords[0])], keywords[0]) {
		r.literal, r.boundary = rest[:len(keywords[0])], boundary
		return nil
	}
	r.begins = begins(tree, keywords)
	r.boundary = boundary && r.begins
	return nil
}

// begins reports whether whatever an expression matches begins with one of the words.
func begins(re *syntax.Regexp, words []string) bool {
	switch re.Op {
	case syntax.OpCapture:
		return begins(re.Sub[0], words)
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if sub.Op != syntax.OpWordBoundary {
				return begins(sub, words)
			}
		}
	case syntax.OpAlternate:
		return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !begins(sub, words) })
	case syntax.OpLiteral:
		text := strings.ToLower(string(re.Rune))
		return slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(text, w) })
	}
	return false
}

// shapeOf finds out where the keywords of an expression stand.
func shapeOf(id, expr string, keywords []string) shape {
	switch id {
	case "curl-auth-header", "curl-auth-user", "kubernetes-secret-yaml", "freemius-secret-key", "nuget-config-password":
		return shapeLoose // white space inside
	case "nytimes-access-token":
		return shapeEither // a name that ends with a comma
	}
	// Names are compared without what separates their words: new[_-]?relic is new-relic.
	flat := strings.NewReplacer("[_-]?", "", `\`, "", "-", "", "_", "")
	all := flat.Replace(strings.ToLower(expr))
	name := ""
	if strings.Contains(expr, semiGeneric) {
		name, _, _ = strings.Cut(all, flat.Replace(semiGenericGap))
	}
	inName := 0
	for _, k := range keywords {
		k = flat.Replace(k)
		if strings.Contains(name, k) {
			inName++
		} else if name == "" && !strings.Contains(all, k) {
			return shapeLoose
		}
	}
	switch {
	case name == "":
		return shapeToken
	case inName == len(keywords) && strings.HasPrefix(strings.TrimPrefix(expr, "(?i)"), semiGeneric) && !strings.Contains(expr, `|\b(`):
		return shapeAssign
	}
	return shapeEither
}

// minLength is the length in bytes of the shortest text that an expression matches.
func minLength(re *syntax.Regexp) int {
	sum := 0
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpCapture, syntax.OpPlus:
		return minLength(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min * minLength(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			sum += minLength(sub)
		}
	case syntax.OpAlternate:
		sum = minLength(re.Sub[0])
		for _, sub := range re.Sub[1:] {
			sum = min(sum, minLength(sub))
		}
	}
	return sum
}

// allowed reports whether an allowance covers the match.
func (r *rule) allowed(secret, match, line []byte) bool {
	for _, a := range r.allow {
		target := secret
		switch a.target {
		case "match":
			target = match
		case "line":
			target = line
		}
		for _, re := range a.regexes {
			if re.Match(target) {
				return true
			}
		}
		if a.stopwords != nil && !looksRandom(secret) && a.stopwords.in(secret) {
			return true
		}
	}
	return false
}

// looksRandom reports whether a value mixes cases and digits over 20 bytes or
// more: a word met inside one is chance, not the sign of a placeholder.
func looksRandom(secret []byte) bool {
	var lower, upper, digit bool
	for _, c := range secret {
		lower = lower || c >= 'a' && c <= 'z'
		upper = upper || c >= 'A' && c <= 'Z'
		digit = digit || c >= '0' && c <= '9'
	}
	return len(secret) >= 20 && lower && upper && digit && entropy(secret) > 4
}

// entropy is Shannon's, in bits a byte.
func entropy(b []byte) float64 {
	var count [256]int
	for _, c := range b {
		count[c]++
	}
	sum := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(b))
			sum -= p * math.Log2(p)
		}
	}
	return sum
}
