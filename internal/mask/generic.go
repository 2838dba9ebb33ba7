package mask

// The rule generic-api-key calls on words that stand in every finding (key,
// access, api, token). Its expression costs some microseconds a call, so the same shape
// is matched here by hand: name, operator, value, end.

// gapBytes is how much may stand between a name and its operator. gitleaks
// says 20 behind the keyword; 40 lets a vendor's keyword stand first in a longer name.
const gapBytes = 40

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// isQuote counts a backslash, since text within text brings its quotes escaped.
func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '\\' }

// isToken reports whether c may stand inside a credential of one word.
func isToken(c byte) bool {
	return isWord(c) || c >= '+' && c <= '/' && c != ',' || c == '=' || c == '~' || c == '%' || c == '|' || c == ':' || c == '@' || c == '\\'
}

// assignment looks for an operator behind the name that ends at text[at] and
// returns where the value begins. list allows a comma as the operator, as the rules of vendors do.
func assignment(text []byte, at int, list bool) (int, bool) {
	end := min(len(text), at+gapBytes)
	for at < end && (isWord(text[at]) || text[at] == '.' || text[at] == '-' || text[at] == ' ' || text[at] == '\t') {
		at++
	}
	for n := 0; n < 4 && at < len(text) && (isSpace(text[at]) || isQuote(text[at])); n++ {
		at++
	}
	start := at
	for at < len(text) && at-start < 4 {
		c := text[at]
		if c != '=' && c != ':' && c != '>' && c != '|' && c != '?' && (c != ',' || !list) {
			break
		}
		at++
	}
	if at == start {
		return 0, false
	}
	for n := 0; n < 6 && at < len(text) && (isSpace(text[at]) || isQuote(text[at]) || text[at] == '`' || text[at] == '='); n++ {
		at++
	}
	return at, true
}

// value returns the end of the value that begins at text[at]: 10 to 150 bytes
// of the generic rule's alphabet with a proper end behind them.
func value(text []byte, at int) (int, bool) {
	end := at
	for end < len(text) && end-at <= 150 && (isWord(text[end]) || text[end] == '.' || text[end] == '=' || text[end] == '-') {
		end++
	}
	if n := end - at; n >= 10 && n <= 150 && valueEnds(text, end) {
		return end, true
	}
	end = at
	for end < len(text) && (text[end] != '_' && isWord(text[end]) || text[end] == '+' || text[end] == '/') {
		end++
	}
	body := end - at
	for n := 0; n < 3 && end < len(text) && text[end] == '='; n++ {
		end++
	}
	return end, body >= 12 && isWord(text[at]) && valueEnds(text, end)
}

func valueEnds(text []byte, at int) bool {
	if at == len(text) {
		return true
	}
	c := text[at]
	return isSpace(c) || isQuote(c) || c == '`' || c == ';' || c == '<' || c == ')' || c == ']' || c == '}' || c == ',' ||
		c == '\\' && at+1 < len(text) && (text[at+1] == 'n' || text[at+1] == 'r' || isQuote(text[at+1]))
}

// genericAt checks the assignment whose name ends with the keyword text[from:to].
func (m *Masker) genericAt(text []byte, from, to int) (span, bool) {
	at, ok := assignment(text, to, false)
	if !ok {
		return span{}, false
	}
	end, ok := value(text, at)
	if !ok {
		return span{}, false
	}
	secret := text[at:end]
	r := &m.rules[m.generic]
	if entropy(secret) <= r.entropy {
		return span{}, false
	}
	for n := 0; from > 0 && n < 50 && (isWord(text[from-1]) || text[from-1] == '.' || text[from-1] == '-'); n++ {
		from--
	}
	if isDigest(secret) && !m.named(text[from:at]) {
		return span{}, false
	}
	if r.allowed(secret, text[from:min(end+1, len(text))], line(text, from, end)) {
		return span{}, false
	}
	return span{from: at, to: end, rule: m.generic}, true
}

// isDigest reports whether b is a UUID or all hexadecimal digits: what ids, commit
// hashes and checksums look like.
func isDigest(b []byte) bool {
	for _, c := range b {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' || c == '-') {
			return false
		}
	}
	return true
}

// secretNames are words whose value is a credential even when it looks like a digest.
func secretNames() []string {
	return []string{"secret", "passwd", "password", "creds", "apikey", "api_key", "api-key", "auth_token", "authtoken", "access_token", "accesstoken", "private_key"}
}

// named reports whether a name says outright that its value is secret.
func (m *Masker) named(name []byte) bool { return m.secret.in(name) }

// line is the line of text that holds text[from:to], at most 200 bytes to either side.
func line(text []byte, from, to int) []byte {
	a, b := from, to
	for a > 0 && from-a < 200 && text[a-1] != '\n' {
		a--
	}
	for b < len(text) && b-to < 200 && text[b] != '\n' {
		b++
	}
	return text[a:b]
}
