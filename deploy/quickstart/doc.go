// Package quickstart makes the findings of the sample organisation that
// `make run` works on: three teams, six accounts and two repositories, all invented, as
// Security Hub (ASFF and OCSF), Prowler, Trusted Advisor, Inspector, GuardDuty and code
// scanners would export them. The same call always makes the same bytes; the folder
// findings holds them, so that the quick start reads plain files.
package quickstart

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"time"
)

// File is one file of the sample, Name below the folder findings.
type File struct {
	Name string
	Data []byte
}

// object is a JSON object; encoding/json writes its members in order of their names.
type object map[string]any

// Files makes all files of the sample, in the order of their names.
func Files() ([]File, error) {
	s := observe()
	var w writer
	w.array("guardduty.json", "Findings", threats())
	w.array("inspector.json", "findings", vulnerabilities())
	w.text("late-export.ndjson", lateExport())
	for _, a := range accounts() {
		if a.prowler {
			w.array("prowler/"+a.name+".ocsf.json", "", prowler(a, s))
		}
	}
	w.indented("sarif/ledger.sarif", ledger())
	w.indented("sarif/storefront-1.sarif", storefront(0))
	w.indented("sarif/storefront-2.sarif", storefront(1))
	w.indented("sarif/storefront-secrets.sarif", secrets())
	w.lines("securityhub-shop.ocsf.ndjson", append(hubOCSF(s), images()...))
	w.array("securityhub.json", "Findings", hubASFF(s))
	w.array("trusted-advisor.json", "", advisor(s))
	return w.files, w.err
}

// writer gathers files and the first error.
type writer struct {
	files []File
	err   error
}

func (w *writer) text(name string, data []byte) {
	w.files = append(w.files, File{Name: name, Data: data})
}

func (w *writer) indented(name string, v any) {
	data, err := json.MarshalIndent(v, "", " ")
	w.fail(err)
	w.text(name, append(data, '\n'))
}

// array writes records one a line in an array, below key unless that is empty.
func (w *writer) array(name, key string, records []object) {
	var b bytes.Buffer
	open, shut := "[\n", "\n]\n"
	if key != "" {
		open, shut = fmt.Sprintf("{%q: [\n", key), "\n]}\n"
	}
	b.WriteString(open)
	for i, r := range records {
		if i > 0 {
			b.WriteString(",\n")
		}
		b.Write(w.line(r))
	}
	b.WriteString(shut)
	w.text(name, b.Bytes())
}

func (w *writer) lines(name string, records []object) {
	var b bytes.Buffer
	for _, r := range records {
		b.Write(w.line(r))
		b.WriteByte('\n')
	}
	w.text(name, b.Bytes())
}

func (w *writer) line(r object) []byte {
	data, err := json.Marshal(r)
	w.fail(err)
	return data
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// The day of the sample's exports. It is fixed, so that the files never change; the
// sample's due dates count from when docket first saw a finding.
func day() time.Time { return time.Date(2025, time.September, 15, 6, 0, 0, 0, time.UTC) }

// number is a fixed number below n for a text: what stands for chance here.
func number(n uint32, text string) int {
	h := fnv.New32a()
	h.Write([]byte(text))
	return int(h.Sum32() % n)
}

// hex is a fixed text of n hex digits for a text.
func hex(n int, text string) string {
	var out string
	for i := 0; len(out) < n; i++ {
		h := fnv.New64a()
		fmt.Fprintf(h, "%s/%d", text, i)
		out += fmt.Sprintf("%016x", h.Sum64())
	}
	return out[:n]
}

func stamp(t time.Time) string { return t.Format(time.RFC3339) }
