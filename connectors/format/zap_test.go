package format_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/pipeline"
)

// zapItem is an alert of ZAP's XML report.
func zapItem(rule, page string) string {
	return "<alertitem><pluginid>" + rule + "</pluginid><name>A name</name><riskcode>2</riskcode><instances><instance><uri>" + page +
		"</uri><method>GET</method></instance></instances></alertitem>\n"
}

// zapReport is a report of one site.
func zapReport(items string) string {
	return `<?xml version="1.0"?>` + "\n" + `<OWASPZAPReport version="2.16.1" created="2026-02-03T04:05:06Z"><site name="https://a.example"><alerts>` + "\n" +
		items + "</alerts></site></OWASPZAPReport>\n"
}

func TestZAPXML(t *testing.T) {
	const page = "https://a.example/p"
	one, two := zapItem("1", page), zapItem("2", page)
	for _, c := range []struct {
		name, text string
		ids        []string
		rejects    []string // index:line, part of the reason
	}{
		{"two alerts", zapReport(one + two), []string{"1|" + page, "2|" + page}, nil},
		{"none", zapReport(""), nil, nil},
		{"no site", `<OWASPZAPReport version="2.7.0"></OWASPZAPReport>`, nil, nil},
		{"of a page by its path", zapReport(zapItem("1", page+"?q=1&amp;r=2#x")), []string{"1|" + page}, nil},
		{"of the site where no page is named", zapReport("<alertitem><pluginid>1</pluginid><riskcode>0</riskcode></alertitem>"), []string{"1|https://a.example"}, nil},
		{"places in the alert, before 2.4", zapReport("<alertitem><pluginid>1</pluginid><riskcode>0</riskcode><uri>" + page + "</uri><param>x</param><uri>" + page + "2</uri><param>y</param></alertitem>"),
			[]string{"1|" + page, "1|" + page + "2"}, nil},
		{"texts with elements in them", zapReport(strings.Replace(one, "A name", "A <b>bold</b> name", 1)), []string{"1|" + page}, nil},
		{"comments and CDATA", zapReport(strings.Replace(one, ">1<", "><!-- the rule --><![CDATA[1]]><", 1)), []string{"1|" + page}, nil},
		{"elements that nobody knows", zapReport(strings.Replace(one, "<instances>", "<tags><tag><tag>A</tag></tag></tags><instances><x>1</x>", 1)), []string{"1|" + page}, nil},
		{"control characters", zapReport(strings.Replace(one, "A name", "A\x01name", 1)), []string{"1|" + page}, nil},
		{"a version that nobody reads", strings.Replace(zapReport(one), `"1.0"`, `"1.1"`, 1), []string{"1|" + page}, []string{"0:1 unsupported version"}},
		{"a damaged alert", zapReport(one + strings.Replace(two, "</name>", "</nam>", 1) + zapItem("3", page)), []string{"1|" + page, "3|" + page}, []string{"1:4 element <name> closed by </nam>"}},
		{"an alert without its end", zapReport(strings.Replace(one, "</alertitem>", "", 1) + two), []string{"2|" + page}, []string{"0:4 another alertitem begins"}},
		{"a site without its end", strings.Replace(zapReport(one+`<site name="https://b.example"><alerts><alertitem><pluginid>4</pluginid><riskcode>1</riskcode></alertitem>`), "</site></OWASP", "</site></site></OWASP", 1),
			[]string{"1|" + page, "4|https://b.example"}, []string{"1:4 another site begins", "3:4 element <OWASPZAPReport> closed by </site>"}},
		{"a damaged site", strings.Replace(zapReport(one), "<alerts>", "<alerts", 1), []string{"1|" + "https://a.example/p"}, []string{"0:3 "}},
		{"cut off", zapReport(one + two)[:len(zapReport(one))], []string{"1|" + page}, []string{"1:4 unexpected EOF"}},
		{"a rule twice", zapReport(strings.Replace(one, "<name>", "<pluginid>7</pluginid><name>", 1) + two), []string{"2|" + page}, []string{`0:3 "pluginid" stands there twice`}},
		{"no rule", zapReport(strings.Replace(one, "pluginid", "plugin", 2) + two), []string{"2|" + page}, []string{"0:0 pluginid is missing"}},
		{"another encoding", strings.Replace(zapReport(one), `version="1.0"`, `version="1.0" encoding="ISO-8859-1"`, 1), nil, []string{"0:1 the text is ISO-8859-1: save it as UTF-8"}},
		{"a document type", strings.Replace(zapReport(one), "<OWASP", `<!DOCTYPE r SYSTEM "https://a.example/r.dtd"><OWASP`, 1), nil, []string{"0:2 a document type declaration"}},
		{"entities of its own", strings.Replace(zapReport(strings.Replace(one, "A name", "&b;", 1)), "<OWASP", `<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><OWASP`, 1), nil, []string{"0:2 a document type declaration"}},
		{"an entity of a file", zapReport(strings.Replace(one, "A name", "&passwd;", 1) + two), []string{"2|" + page}, []string{"0:3 invalid character entity &passwd;"}},
		{"elements in elements without end", zapReport(strings.Replace(one, "A name", strings.Repeat("<a>", 1000)+strings.Repeat("</a>", 1000), 1) + two), []string{"2|" + page}, []string{"0:3 more than 32 deep"}},
		{"a tag without end", zapReport(strings.Replace(one, "<name>", "<name "+strings.Repeat(`a="b" `, 20_000)+">", 1) + two), []string{"2|" + page}, []string{"0:3 a tag is longer than 65536 bytes"}},
		{"a site's name without end", strings.Replace(zapReport(one), "//a.example\"", "//"+strings.Repeat("a", 3000)+"\"", 1), nil, []string{"0:3 the site's name is longer than 2048 bytes"}},
		{"an alert larger than a record may be", zapReport(strings.Replace(one, "A name", strings.Repeat("<a>long</a>", 20_000), 1) + two), []string{"2|" + page}, []string{"0:3 larger than the limit of 131072 bytes"}},
		{"a text larger than a record may be", zapReport(strings.Replace(one, "A name", strings.Repeat("long ", 60_000), 1) + two), []string{"2|" + page}, []string{"0:3 a text in it is larger than an alert may be"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ids, rejects []string
			doc, err := format.Split(strings.NewReader(c.text), format.Options{Origin: "zap.xml", MaxRecord: 128 << 10, Reject: func(r pipeline.Reject) error {
				rejects = append(rejects, fmt.Sprintf("%d:%d %s", r.Index, r.Line, r.Reason))
				return nil
			}}, func(rec pipeline.Record) error {
				r, err := format.Decode(rec)
				if err != nil {
					rejects = append(rejects, fmt.Sprintf("%d:0 %v", rec.Index, err))
					return nil
				}
				ids = append(ids, r.ID)
				return nil
			})
			if err != nil || fmt.Sprint(ids) != fmt.Sprint(c.ids) || len(rejects) != len(c.rejects) || len(doc.Scans) != 0 {
				t.Fatalf("Split = %q, rejects %.300q, %v, scans %v; want %q and %q", ids, rejects, err, doc.Scans, c.ids, c.rejects)
			}
			for i, want := range c.rejects {
				at, why, _ := strings.Cut(want, " ")
				if !strings.HasPrefix(rejects[i], at+" ") || !strings.Contains(rejects[i], why) {
					t.Errorf("reject = %.300q; want %q", rejects[i], want)
				}
			}
		})
	}
}

// The same alert is the same finding in both reports, also with requests and responses beside it.
func TestZAPReportsAgree(t *testing.T) {
	fields := func(file, text string) []string {
		var out []string
		if _, err := format.Split(strings.NewReader(text), format.Options{Origin: file}, func(rec pipeline.Record) error {
			if strings.Contains(string(rec.Data), "session=") || strings.Contains(string(rec.Data), "<body>") {
				t.Errorf("record %d of %s = %s; want nothing of what was sent and answered", rec.Index, file, rec.Data)
			}
			r, err := format.Decode(rec)
			out = append(out, fmt.Sprint(r.Product, r.ID, r.Control, r.Resource, r.Title, r.Description, r.Remediation, r.Links, r.Compliance, r.Severity, r.Status, r.ObservedAt))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	json := readFile(t, "testdata/zap.json")
	json = strings.Replace(json, `"method": "GET"`, `"method": "GET", "request-header": "Cookie: session=of-whoever-was-signed-in", "response-body": "<body>"`, 1)
	a, b := fields("zap.json", json), fields("zap.xml", readFile(t, "testdata/zap.xml"))
	if len(a) != 3 || fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("zap.json = %q; zap.xml = %q; want the same three", a, b)
	}
}

// What stops the reading of a report, or the taking of its records, is no fault of the report.
func TestZAPXMLStops(t *testing.T) {
	boom := errors.New("boom")
	text := zapReport(zapItem("1", "https://a.example/p") + "<alertitem></alert>" + zapItem("2", "https://a.example/p"))
	take := func(pipeline.Record) error { return nil }
	for _, c := range []struct {
		name   string
		r      io.Reader
		each   func(pipeline.Record) error
		reject func(pipeline.Reject) error
	}{
		{"a record is not taken", strings.NewReader(text), func(pipeline.Record) error { return boom }, nil},
		{"a reject is not taken", strings.NewReader(text), take, func(pipeline.Reject) error { return boom }},
		{"the text cannot be read", io.MultiReader(strings.NewReader(text[:len(text)-100]), iotest.ErrReader(boom)), take, nil},
	} {
		if _, err := format.Split(c.r, format.Options{Origin: "zap.xml", Reject: c.reject}, c.each); !errors.Is(err, boom) {
			t.Errorf("%s: Split = %v; want %v", c.name, err, boom)
		}
	}
}

// One long text at many places is not copied into gigabytes, in neither report, and nothing of it is lost.
func TestZAPManyPlaces(t *testing.T) {
	const places = 10_000
	long := strings.Repeat("é", 256<<10)
	var xml, json strings.Builder
	fmt.Fprintf(&xml, "<alertitem><pluginid>1</pluginid><riskcode>1</riskcode><desc>%s</desc><instances>", long)
	fmt.Fprintf(&json, `{"@version": "1", "site": [{"@name": "s", "alerts": [{"pluginid": "1", "riskcode": "1", "desc": %q, "instances": [`, long)
	for i := range places {
		fmt.Fprintf(&xml, "<instance><uri>/%d</uri></instance>", i)
		if i > 0 {
			json.WriteByte(',')
		}
		fmt.Fprintf(&json, `{"uri": "/%d"}`, i)
	}
	for name, text := range map[string]string{"xml": zapReport(xml.String() + "</instances></alertitem>"), "json": json.String() + "]}]}]}"} {
		n, total := 0, 0
		doc, err := format.Split(strings.NewReader(text), format.Options{Origin: name}, func(rec pipeline.Record) error {
			n, total = n+1, total+len(rec.Data)
			_, err := format.Decode(rec)
			return err
		})
		if err != nil || n != places || doc.Rejected != 0 || total > 64<<20 {
			t.Errorf("%s: %d records of %d bytes, %d rejects, %v; want %d records under 64 MiB", name, n, total, doc.Rejected, err, places)
		}
	}
}

// A report is read in the memory of its largest alert.
func TestZAPXMLStreams(t *testing.T) {
	item := zapItem("1", "https://a.example/p?"+strings.Repeat("x", 2000))
	const count = 20_000
	pr, pw := io.Pipe()
	go func() {
		_, err := io.WriteString(pw, zapReport("")[:strings.Index(zapReport(""), "</alerts>")])
		for i := 0; i < count && err == nil; i++ {
			_, err = io.WriteString(pw, item)
		}
		if err == nil {
			_, err = io.WriteString(pw, "</alerts></site></OWASPZAPReport>")
		}
		pw.CloseWithError(err)
	}()
	var peak uint64
	n := 0
	_, err := format.Split(pr, format.Options{}, func(pipeline.Record) error {
		if n++; n%2000 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
		}
		return nil
	})
	if err != nil || n != count || peak > heapLimit {
		t.Errorf("Split of 40 MB = %d records, %v, with a heap of %d MB; want %d under %d MB", n, err, peak>>20, count, heapLimit>>20)
	}
}
