package mask

import "bytes"

// A private key is masked from its BEGIN line to its END line. When the END is
// missing (a snippet that was cut), what follows is masked as long as it looks like the key's
// lines, so that prose which only names the header stays.

const (
	pemBegin   = "-----BEGIN"
	pemEnd     = "-----END"
	pemDashes  = "-----"
	pemKeyWord = "PRIVATE KEY"
	pemHead    = 100      // most bytes between BEGIN and the dashes that close the line
	pemBytes   = 16 << 10 // most bytes of one key: RSA with 16,384 bits has about 13 KB
)

// pemHeader returns the end of the header line of a private key that begins at text[at].
func pemHeader(text []byte, at int) (int, bool) {
	rest := text[at+len(pemBegin) : min(len(text), at+len(pemBegin)+pemHead)]
	n := bytes.Index(rest, []byte(pemDashes))
	if n < 0 || !bytes.Contains(bytes.ToUpper(rest[:n]), []byte(pemKeyWord)) {
		return 0, false
	}
	return at + len(pemBegin) + n + len(pemDashes), true
}

// pemAt finds the private key that begins at text[at]. open says that its END was not there.
func pemAt(text []byte, at int) (end int, open, ok bool) {
	head, ok := pemHeader(text, at)
	if !ok {
		return 0, false, false
	}
	body := text[head:min(len(text), head+pemBytes)]
	if n := bytes.Index(body, []byte(pemEnd)); n >= 0 && !bytes.Contains(body[:n], []byte(pemBegin)) {
		end = head + n + len(pemEnd)
		limit := min(len(text), end+pemHead)
		if n := bytes.Index(text[end:limit], []byte(pemDashes)); n >= 0 {
			return end + n + len(pemDashes), false, true
		}
		return limit, false, true
	}
	end = head
	for {
		next := pemLine(text, end)
		if next == end {
			break
		}
		end = next
	}
	return end, true, end > head || len(bytes.TrimSpace(text[head:])) == 0
}

// pemLine returns the end of a line of key material that begins at text[at], or at.
func pemLine(text []byte, at int) int {
	start := at
	for start < len(text) && isSpace(text[start]) {
		start++
	}
	for start+1 < len(text) && text[start] == '\\' && (text[start+1] == 'n' || text[start+1] == 'r') {
		start += 2
	}
	end := start
	for end < len(text) && isBase64(text[end]) {
		end++
	}
	if end-start >= 16 {
		return end
	}
	for _, name := range [...]string{"Proc-Type: ", "DEK-Info: ", "Version: ", "Comment: "} {
		if bytes.HasPrefix(text[start:], []byte(name)) {
			if n := bytes.IndexAny(text[start:], "\n\\"); n > 0 {
				return start + n
			}
			return len(text)
		}
	}
	return at
}

func isBase64(c byte) bool {
	return c != '_' && isWord(c) || c == '+' || c == '/' || c == '='
}

// isKeyMaterial reports whether a whole text can be a line out of a key's middle.
func isKeyMaterial(text []byte) bool {
	text = bytes.TrimSpace(text)
	for _, c := range text {
		if !isBase64(c) {
			return false
		}
	}
	return len(text) >= 16
}
