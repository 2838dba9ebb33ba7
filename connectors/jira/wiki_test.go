package jira

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/docket-hub/docket/connectors/connectortest"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

func TestWikiText(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "Bucket is public, 3.5 of 4 (mostly).", "Bucket is public, 3.5 of 4 (mostly)."},
		{"mention", "[~admin] @all", `\[\~admin\] \@all`},
		{"macro", "{code}x{code}{color:red}", `\{code\}x\{code\}\{color:red\}`},
		{"link", "[click|https://evil.example]", `\[click\|https://evil.example\]`},
		{"image", "!https://evil.example/x.png!", `\!https://evil.example/x.png\!`},
		{"heading", "h1. Big\n  h2. two\nbq. quote\nh1", "h1\\. Big\n  h2\\. two\nbq\\. quote\nh1"},
		{"words like headings", "auth1. x and h1. in the middle", "auth1. x and h1. in the middle"},
		{"lists", "* a\n# b\n- c", "\\* a\n\\# b\n\\- c"},
		{"ruler", "----", `\-\-\-\-`},
		{"table", "||a||b||", `\|\|a\|\|b\|\|`},
		{"emphasis", "*a* _b_ -c- +d+ ^e^ ~f~ ??g??", `\*a\* \_b\_ \-c\- \+d\+ \^e\^ \~f\~ \?\?g\?\?`},
		{"inside words", "snake_case-name a+b arn:aws:iam::1:user/x", "snake_case-name a+b arn:aws:iam::1:user/x"},
		{"emoticons", "ok :) (y) (/) (flag) ;) (see below) (on)", `ok \:) \(y) \(/) \(flag) \;) (see below) \(on)`},
		{"path", `C:\Users\x \[a] \\server\ end\`, `C:\Users\x &#92;\[a\] &#92;\server\ end&#92;`},
		{"umlauts", "Größe_x 漢字*", `Größe_x 漢字\*`},
	} {
		if got := wikiText(c.in); got != c.want {
			t.Errorf("%s: wikiText(%q) = %q; want %q", c.name, c.in, got, c.want)
		}
	}
}

func TestWiki(t *testing.T) {
	in := "# A \\*title\\*\n\n**P1** · HIGH · *recurring*\n\n## Where\n\n- Resource: `arn:aws:s3:::x_y`\n  - below\n\n1. [ ] Do it \\<now\\> &lt;b&gt; &amp;\n\n    ```sh\n    aws x --query '{a}'\n    ```\n\n" +
		"| Severity | Finding |\n|---|---|\n| HIGH | a\\|b |\n|  | `0a` |\n\nSee <https://example.com/a?b=1|2]> and <javascript:alert(1)>\n"
	want := "h1. A \\*title\\*\n\n*P1* · HIGH · _recurring_\n\nh2. Where\n\n* Resource: {{arn:aws:s3:::x_y}}\n** below\n\n1. \\[ \\] Do it <now> <b> &\n\n{noformat}\naws x --query '{a}'\n{noformat}\n\n" +
		"||Severity||Finding||\n|HIGH|a\\|b|\n| |{{0a}}|\n\nSee [https://example.com/a?b=1%7C2%5D] and <javascript:alert(1)>\n"
	if got := wiki(in); got != want {
		t.Errorf("wiki() =\n%s\nwant\n%s", got, want)
	}
}

// mark is a character that would do something, unescaped; what docket's own text uses of them is taken out first.
var mark = regexp.MustCompile(`(^|[^\\])[\[\]{}|!~^@]`)

// inert fails when a text holds active markup beside docket's own.
func inert(t *testing.T, text string) {
	t.Helper()
	text = regexp.MustCompile(`(?s)\{noformat\}.*?\{noformat\}`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`\[https?://[^\[\]|{}!^\\ ]*\]`).ReplaceAllString(text, "")
	for line := range strings.Lines(text) {
		line = regexp.MustCompile(`(^|[^\\])\{\{`).ReplaceAllString(line, "$1")
		line = regexp.MustCompile(`\}\}`).ReplaceAllString(line, "")
		if strings.HasPrefix(line, "|") {
			line = strings.ReplaceAll(strings.ReplaceAll(line, `\|`, ""), "|", " ")
		}
		if m := mark.FindString(line); m != "" {
			t.Errorf("%q is active in %q; want it escaped", m, line)
		}
	}
}

func TestHostileTextIsInert(t *testing.T) {
	for _, bad := range []string{
		"[~accountid:5b10] [~admin] @all", "{noformat}[~admin]{noformat}", "{code}\n[~admin]", "!x.png|onclick=1!", "`{{`[~admin]`}}`", "\\[~admin]", "\\\\[~admin]", "\\`[~a]\\`",
		"h1. x\n|a|b|\n||c||", "<https://x.example/[~admin]>", "https://x.example/!a! {color}", "```\n[~admin]\n```\n{noformat}", "&#91;~admin]", "|[~a]|", "**[~a]**",
	} {
		in := connectortest.Ticket(0)
		in.Title, in.Description, in.Team, in.Region = bad, bad, bad, bad
		in.Resource = pipeline.Resource{ID: bad, Type: bad, Name: bad}
		in.Remediation, in.Links, in.Compliance = pipeline.Remediation{Text: bad, URL: bad}, []string{bad}, []string{bad}
		in.Findings = []pipeline.TicketFinding{{Title: bad, Resource: bad, Status: "open", Products: []string{bad}}}
		in.Explanation.Reasons = []pipeline.Reason{{What: "exposed_credential", Why: bad}}
		inert(t, wiki(ticket.Markdown(in)))
		inert(t, commentText(pipeline.Comment{EventID: "DK-1/r2", Time: in.Since, Lines: []string{bad, "- " + bad}}, 30_000))
	}
}

func FuzzWiki(f *testing.F) {
	f.Add("[~admin] {code} |x| !y!", "h1. `a` <https://x>")
	f.Fuzz(func(t *testing.T, a, b string) {
		in := connectortest.Ticket(0)
		in.Title, in.Description, in.Resource.ID, in.Links = a, b, a, []string{b}
		text := wiki(ticket.Markdown(in))
		if !utf8.ValidString(text) {
			t.Errorf("wiki(%q, %q) is no UTF-8", a, b)
		}
		inert(t, text)
	})
}

func TestCutWiki(t *testing.T) {
	const note = "\n_Cut._\n"
	for _, c := range []struct {
		name, in string
		limit    int
	}{
		{"short", "one\ntwo\n", 100},
		{"in a block", "one\n{noformat}\n" + strings.Repeat("line\n", 50) + "{noformat}\n", 100},
		{"one long line", strings.Repeat("word ", 100), 100},
		{"escapes", strings.Repeat(`\*`, 100), 100},
		{"two units a character", strings.Repeat("😀\n", 100), 100},
	} {
		got, cut := cutWiki(c.in, c.limit, note)
		if units := len(utf16.Encode([]rune(got))); units > c.limit {
			t.Errorf("%s: cutWiki() has %d units; want at most %d", c.name, units, c.limit)
		}
		if cut != (got != c.in) || cut != strings.HasSuffix(got, note) {
			t.Errorf("%s: cutWiki() = %q, %v; want the note when it was cut", c.name, got, cut)
		}
		if strings.Count(got, "{noformat}")%2 != 0 || strings.HasSuffix(strings.TrimSuffix(got, note), `\`) {
			t.Errorf("%s: cutWiki() = %q; want blocks closed and no lone backslash", c.name, got)
		}
	}
}

func TestClip(t *testing.T) {
	for in, want := range map[string]string{"abc": "abc", "abcdef": "abcd…", "😀😀😀": "😀😀…", "😀😀": "😀😀", "ééééé": "ééééé"} {
		if got := clip(in, 5); got != want {
			t.Errorf("clip(%q, 5) = %q; want %q", in, got, want)
		}
	}
}

func TestQuoteJQL(t *testing.T) {
	for in, want := range map[string]string{
		`a`: `"a"`, `a"b`: `"a\"b"`, `a\`: `"a\\"`, "a\nb\x00": `"a\nb"`, `" OR project = X OR labels = "`: `"\" OR project = X OR labels = \""`,
	} {
		if got := quoteJQL(in); got != want {
			t.Errorf("quoteJQL(%q) = %s; want %s", in, got, want)
		}
	}
	for key, want := range map[string]bool{"docket-0123456789abcdef0123": true, "docket-0123456789abcdef012": false, "docket-0123456789ABCDEF0123": false, `docket-"0123456789abcdef012`: false, "": false} {
		if got := isTicketKey(key); got != want {
			t.Errorf("isTicketKey(%q) = %v; want %v", key, got, want)
		}
	}
}

func TestCanon(t *testing.T) {
	for in, want := range map[string]string{
		`null`: "", `""`: "", `"a \r\nb  \n"`: "a\nb", `3.50`: "3.5", `{"name":"High","id":"2"}`: "High",
		`{"accountId":"5b","displayName":"x"}`: "5b", `{"name":"ada","key":"k"}`: "ada", `{"value":"a","child":{"value":"b"}}`: "a > b",
		`[{"value":"b"},{"value":"a"}]`: "a, b", `["x"]`: "x", `{`: "", `true`: "true",
	} {
		if got := canon([]byte(in)); got != want {
			t.Errorf("canon(%s) = %q; want %q", in, got, want)
		}
	}
}
