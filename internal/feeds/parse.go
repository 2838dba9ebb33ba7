package feeds

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/docket-hub/docket/pipeline/risk"
)

// The bounds of what is read. In 2025 the catalogue had about 1,500 entries and 1.5 MB, EPSS about 300,000 scores and 10 MB.
const (
	maxPlain   = 256 << 20 // bytes, unpacked
	maxKEV     = 64 << 20  // bytes, unpacked: it is read as one document
	maxEntries = 4_000_000
	maxLine    = 64 << 10
	namedRows  = 5  // refused rows that are named
	spared     = 10 // so many refused rows are always borne, else one in a hundred
)

// Refused is the rows of a copy that could not be read and were left out.
type Refused struct {
	Count int
	Named []string // the first few: "line 12: …"
}

func (r *Refused) add(format string, args ...any) {
	r.Count++
	if len(r.Named) < namedRows {
		r.Named = append(r.Named, fmt.Sprintf(format, args...))
	}
}

// tooMany is the error of a copy of which so many rows are refused that the rest is not believed.
func (r *Refused) tooMany(good int) error {
	if good > 0 && (r.Count <= spared || r.Count*100 <= good) {
		return nil
	}
	if r.Count == 0 {
		return errors.New("it holds no entry")
	}
	return fmt.Errorf("%d of its %d rows cannot be read: %s", r.Count, r.Count+good, strings.Join(r.Named, "; "))
}

// plain unpacks a body that begins as gzip does, and leaves any other as it is.
func plain(body io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(body, 64<<10)
	head, err := buffered.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(head) < 2 || head[0] != 0x1f || head[1] != 0x8b {
		return io.LimitReader(buffered, maxPlain+1), nil
	}
	unpacked, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	return io.LimitReader(unpacked, maxPlain+1), nil
}

// kevDocument is CISA's document. What is not asked for is left out.
type kevDocument struct {
	Version  string            `json:"catalogVersion"`
	Released string            `json:"dateReleased"`
	Count    *int              `json:"count"`
	Entries  []json.RawMessage `json:"vulnerabilities"`
}

type kevEntry struct {
	CVE        string `json:"cveID"`
	Added      string `json:"dateAdded"`
	Ransomware string `json:"knownRansomwareCampaignUse"`
}

// ParseKEV reads a copy of the catalogue, packed by gzip or not. An entry that cannot be read is left out
// and named. A copy without entries or date, with fewer entries than it says, or with too many that cannot be read is an error.
func ParseKEV(body io.Reader) (*risk.KEV, Refused, error) {
	var refused Refused
	text, err := plain(body)
	if err != nil {
		return nil, refused, err
	}
	data, err := io.ReadAll(io.LimitReader(text, maxKEV+1))
	switch {
	case err != nil:
		return nil, refused, fmt.Errorf("reading: %w", err)
	case len(data) > maxKEV:
		return nil, refused, fmt.Errorf("it is longer than %d MiB", maxKEV>>20)
	}
	var doc kevDocument
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, refused, fmt.Errorf("it is not CISA's catalogue: %w", notThis(data, err))
	}
	released, err := instant(doc.Released)
	switch {
	case err != nil:
		return nil, refused, fmt.Errorf("dateReleased: %w", err)
	case doc.Count != nil && *doc.Count != len(doc.Entries):
		return nil, refused, fmt.Errorf("it says that it has %d entries and holds %d", *doc.Count, len(doc.Entries))
	case len(doc.Entries) > maxEntries:
		return nil, refused, fmt.Errorf("it has more than %d entries", maxEntries)
	}
	entries := make(map[risk.CVE]risk.Exploited, len(doc.Entries))
	for i, raw := range doc.Entries {
		cve, entry, err := kevOne(raw)
		if err != nil {
			refused.add("vulnerabilities[%d]: %s", i, err)
			continue
		}
		entries[cve] = entry
	}
	if err := refused.tooMany(len(entries)); err != nil {
		return nil, refused, err
	}
	sum := sha256.Sum256(data)
	return risk.NewKEV(cut(doc.Version), released, digest(sum[:]), entries), refused, nil
}

func kevOne(raw []byte) (risk.CVE, risk.Exploited, error) {
	var e kevEntry
	if err := json.Unmarshal(raw, &e); err != nil {
		return 0, risk.Exploited{}, err
	}
	cve, ok := risk.ParseCVE(strings.TrimSpace(e.CVE))
	if !ok {
		return 0, risk.Exploited{}, fmt.Errorf("cveID %q is no CVE", cut(e.CVE))
	}
	out := risk.Exploited{Ransomware: strings.EqualFold(strings.TrimSpace(e.Ransomware), "Known")}
	if e.Added == "" {
		return cve, out, nil
	}
	var err error
	if out.Added, err = time.Parse(time.DateOnly, e.Added); err != nil {
		return 0, out, fmt.Errorf("dateAdded %q of %s is no date", cut(e.Added), cve)
	}
	return cve, out, nil
}

// ParseEPSS reads a copy of the scores, packed by gzip or not: a comment with model and date, a line that names
// the columns, and a line a CVE. A line that cannot be read is left out and named. A copy without
// date, columns or scores, one that ends early, or one with too many lines that cannot be read is an error.
func ParseEPSS(body io.Reader) (*risk.EPSS, Refused, error) {
	p := epssParser{sum: sha256.New(), cve: -1}
	text, err := plain(body)
	if err != nil {
		return nil, p.refused, err
	}
	counted := &counter{r: text}
	lines := bufio.NewScanner(counted)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	for lines.Scan() {
		if err := p.line(lines.Bytes()); err != nil {
			return nil, p.refused, err
		}
	}
	switch err := lines.Err(); {
	case err != nil:
		return nil, p.refused, fmt.Errorf("reading line %d: %w", p.number+1, err)
	case counted.n > maxPlain:
		return nil, p.refused, fmt.Errorf("it is longer than %d MiB", maxPlain>>20)
	case p.cve < 0:
		return nil, p.refused, errors.New("it is not EPSS: it is empty")
	case p.date.IsZero():
		return nil, p.refused, errors.New("it has no score_date in its first line, so nobody could tell how old it is")
	}
	if err := p.refused.tooMany(len(p.scores)); err != nil {
		return nil, p.refused, err
	}
	return risk.NewEPSS(p.model, p.date, digest(p.sum.Sum(nil)), p.scores), p.refused, nil
}

type epssParser struct {
	number     int // of the line in hand
	cve, score int // columns
	columns    int
	model      string
	date       time.Time
	sum        hash.Hash
	scores     []risk.Score
	refused    Refused
}

// line takes in one line; its error is one of the whole copy.
func (p *epssParser) line(b []byte) error {
	p.number++
	if p.number == 1 {
		b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	}
	b = bytes.TrimRight(b, "\r ")
	if len(b) == 0 {
		return nil
	}
	p.sum.Write(b)
	p.sum.Write([]byte{'\n'})
	switch {
	case b[0] == '#' && p.cve < 0:
		return p.comment(string(b[1:]))
	case p.cve < 0:
		return p.head(b)
	case len(p.scores) >= maxEntries:
		return fmt.Errorf("it has more than %d scores", maxEntries)
	}
	s, err := p.row(b)
	if err != nil {
		p.refused.add("line %d: %s", p.number, err)
		return nil
	}
	p.scores = append(p.scores, s)
	return nil
}

// comment reads "model_version:v2025.03.14,score_date:2026-11-20T00:00:00+0000".
func (p *epssParser) comment(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), ":")
		switch key {
		case "model_version":
			p.model = cut(value)
		case "score_date":
			var err error
			if p.date, err = instant(value); err != nil {
				return fmt.Errorf("score_date: %w", err)
			}
		}
	}
	return nil
}

// head finds the columns by their names.
func (p *epssParser) head(b []byte) error {
	p.score = -1
	names := strings.Split(string(b), ",")
	for i, name := range names {
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "cve":
			p.cve = i
		case "epss":
			p.score = i
		}
	}
	p.columns = len(names)
	if p.cve < 0 || p.score < 0 {
		return fmt.Errorf("it is not EPSS: %w", notThis(b, fmt.Errorf("line %d names no columns cve and epss", p.number)))
	}
	return nil
}

func (p *epssParser) row(b []byte) (s risk.Score, err error) {
	at, found := 0, 0
	for field := range bytes.SplitSeq(b, []byte{','}) {
		switch at {
		case p.cve:
			var ok bool
			if s.CVE, ok = risk.ParseCVE(string(bytes.TrimSpace(field))); !ok {
				return s, fmt.Errorf("%q is no CVE", cut(string(field)))
			}
			found++
		case p.score:
			s.Value, err = strconv.ParseFloat(string(bytes.TrimSpace(field)), 64)
			if err != nil || !(s.Value >= 0 && s.Value <= 1) {
				return s, fmt.Errorf("%q is no likelihood from 0 to 1", cut(string(field)))
			}
			found++
		}
		at++
	}
	if at != p.columns || found != 2 {
		return s, fmt.Errorf("it has %d fields of %d", at, p.columns)
	}
	return s, nil
}

// instant reads the forms of dates that the feeds have used.
func instant(text string) (time.Time, error) {
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05-0700", "2006-01-02T15:04:05", time.DateOnly} {
		if at, err := time.Parse(form, strings.TrimSpace(text)); err == nil && at.Year() >= 1999 && at.Year() < 9999 {
			return at.UTC(), nil
		}
	}
	if text == "" {
		return time.Time{}, errors.New("it is missing, so nobody could tell how old the copy is")
	}
	return time.Time{}, fmt.Errorf("%q is no date", cut(text))
}

// notThis says what stands there instead, where that is clear.
func notThis(data []byte, err error) error {
	data = bytes.TrimLeft(data, " \t\r\n")
	switch {
	case len(data) == 0:
		return errors.New("it is empty")
	case data[0] == '<':
		return errors.New("it is a web page")
	}
	return err
}

// cut shortens what came from outside for a message.
func cut(s string) string {
	const limit = 60
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= limit {
		return s
	}
	s = s[:limit]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}

func digest(sum []byte) string { return hex.EncodeToString(sum[:8]) }

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}
