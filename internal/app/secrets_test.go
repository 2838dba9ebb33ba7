package app

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func draw(r *rand.Rand, alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

// credential is one that findings carry: the text it stands in, and itself. bare
// is what can be planted without the words round it: a value that anybody can tell by its shape.
type credential struct{ kind, text, secret, bare string }

// credentials draws one of each kind; none stands in this file as it is.
func credentials(r *rand.Rand) []credential {
	upper := letters[:26] + "234567"
	var out []credential
	add := func(kind, before, secret, after string) {
		c := credential{kind, before + secret + after, secret, secret}
		if kind == "secret key" || kind == "password" {
			c.bare = c.text // without its name it is any word
		}
		out = append(out, c)
	}
	add("access key", "the key ", "AK"+"IA"+draw(r, upper, 16), " was used")
	add("secret key", "aws_secret_access_key = ", draw(r, letters, 30)+"9aZ"+draw(r, letters, 7), "\n")
	add("github token", "token ", "gh"+"p_"+draw(r, letters, 36), " in .npmrc")
	add("gitlab token", "CI uses ", "glp"+"at-"+draw(r, letters, 20), "")
	add("slack token", "bot ", "xo"+"xb-"+draw(r, "123456789", 11)+"-"+draw(r, "0123456789", 12)+"-"+draw(r, letters, 24), " there")
	add("stripe key", "charge with ", "sk_"+"live_"+draw(r, letters, 24), " ")
	add("jwt", "Authorization: Bearer ", "ey"+"J"+draw(r, letters, 33)+".ey"+"J"+draw(r, letters, 200)+"."+draw(r, letters, 43), "")
	add("password", `db_password: "`, "q7"+draw(r, letters, 18)+"8R", `"`)
	add("private key", "", "-----BEGIN RSA PRIV"+"ATE KEY-----\n"+draw(r, letters, 64)+"\n"+draw(r, letters, 64)+"\n-----END RSA PRIV"+"ATE KEY-----", "\n")
	return out
}

// forms are the shapes that a secret could leak in: itself, base64 at each
// alignment in both alphabets, hex in both cases, and escaped for a URL or JSON.
func forms(secret string) map[string]string {
	out := map[string]string{
		"raw": secret, "hex": hex.EncodeToString([]byte(secret)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"query": url.QueryEscape(secret), "path": url.PathEscape(secret),
	}
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for pad := range 3 {
			text := e.EncodeToString(append(make([]byte, pad), secret...))
			// The first and the last group mix with what stands around.
			out["base64/"+string(rune('0'+pad))+text[:1]+e.EncodeToString([]byte{0xff})] = text[4 : len(text)-4]
		}
	}
	if b, err := json.Marshal(secret); err == nil {
		out["json"] = string(b[1 : len(b)-1])
	}
	return out
}

// readable reports in which form a credential is readable in text beyond the few
// characters that stay so that people know which one it is; "" for in none.
func readable(text []byte, secret string) string {
	body := secret
	if strings.HasPrefix(body, "-----BEGIN") {
		body = strings.Split(body, "\n")[1]
	}
	if strings.HasPrefix(body, "ey"+"J") {
		body = body[strings.LastIndex(body, "."):] // what stands before the signature says who, and proves nothing
	}
	for i := 5; i+10 <= len(body)-4; i += 3 {
		if bytes.Contains(text, []byte(body[i:i+10])) {
			return "raw"
		}
	}
	for name, form := range forms(body) {
		if bytes.Contains(text, []byte(form)) {
			return name
		}
	}
	return ""
}

// around is where a credential stands, with its own middle taken out.
func around(text []byte, secret string) string {
	for i := 5; i+10 <= len(secret)-4; i += 3 {
		if at := bytes.Index(text, []byte(secret[i:i+10])); at >= 0 {
			return fmt.Sprintf(" at %q", text[max(0, at-100):at])
		}
	}
	return ""
}

// dump is everything that a test looks through, by where it was found.
type dump map[string][]byte

func (d dump) value(t testing.TB, where string, v any, err error) {
	t.Helper()
	if err != nil {
		d[where+" error"] = append(d[where+" error"], err.Error()...)
	}
	b, jsonErr := json.Marshal(v)
	if jsonErr != nil {
		t.Fatal(jsonErr)
	}
	d[where] = append(append(d[where], b...), '\n')
}

// plantSecrets are findings that carry credentials wherever text may stand, and some that are refused.
func plantSecrets(t testing.TB, list []credential) map[string][]byte {
	t.Helper()
	var all strings.Builder
	for _, c := range list {
		all.WriteString(c.text + " ; ")
	}
	tags := map[string]any{"team": "payments"}
	var docs []map[string]any
	for i, c := range list {
		tags["secret-"+string(rune('a'+i))] = c.bare
		docs = append(docs, map[string]any{
			"product": "sample", "id": "sample-" + c.kind, "title": "Found: " + c.text, "description": c.text, "severity": "HIGH", "control": "SAMPLE.2",
			"account": map[string]any{"id": foldAccount, "name": "main", "tags": map[string]any{"note": c.text}}, "region": "eu-west-1",
			"resource":    map[string]any{"id": "arn:aws:sample:eu-west-1:" + foldAccount + ":thing/" + string(rune('a'+i)), "type": "SampleThing", "name": c.text, "tags": map[string]any{"note": c.text, "value": c.bare}},
			"remediation": map[string]any{"text": "Rotate " + c.text, "url": "https://example.com/"}, "compliance": []string{c.text},
			"status_reason": c.text, "observed_at": "2026-10-01T00:00:00Z", "x_deep": map[string]any{"list": []any{c.text, map[string]any{"secret": c.bare}}},
		})
	}
	asff := asffRecord(t, 1)
	asff["Title"], asff["Description"] = "Title "+list[0].text, all.String()
	asff["ProductFields"] = map[string]any{"note": all.String()}
	asff["UserDefinedFields"] = map[string]any{"note": all.String()}
	asff["Resources"] = []any{map[string]any{
		"Type": "AwsEc2Instance", "Id": "arn:aws:ec2:eu-west-1:" + foldAccount + ":instance/i-0123456789abcdef0", "Tags": tags,
		"Details": map[string]any{"Other": map[string]any{"UserData": all.String(), "Encoded": list[2].secret}},
	}}
	sarif := codeReport(7)
	result := sarif["runs"].([]any)[0].(map[string]any)["results"].([]any)[0].(map[string]any)
	result["message"] = map[string]any{"text": "hard-coded: " + all.String()}
	place := result["locations"].([]any)[0].(map[string]any)["physicalLocation"].(map[string]any)
	place["region"] = map[string]any{"startLine": 7, "snippet": map[string]any{"text": all.String()}}
	place["contextRegion"] = map[string]any{"startLine": 5, "snippet": map[string]any{"text": all.String()}}
	result["properties"] = map[string]any{"match": all.String()}
	var refused []map[string]any
	for i, d := range docs {
		bad := map[string]any{}
		for k, v := range d {
			bad[k] = v
		}
		bad["id"], bad["severity"] = "refused-"+string(rune('a'+i)), list[i].bare
		refused = append(refused, bad)
	}
	var broken bytes.Buffer
	broken.Write(ndjson(t, samples(900, 1)...))
	for _, c := range list {
		broken.WriteString(`{"product": "sample", ` + strings.ReplaceAll(c.text, "\n", " ") + "\n")
		broken.WriteString(strings.ReplaceAll(c.text, "\n", " ") + "\n")
	}
	one := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return map[string][]byte{
		"own.ndjson": ndjson(t, docs...), "hub.json": one([]any{asff}), "code.sarif": one(sarif),
		"refused.ndjson": ndjson(t, refused...), "broken.ndjson": broken.Bytes(), "text.json": []byte(all.String()),
	}
}

const secretsSite = `
installation: test
data_dir: ./data
server:
  listen: 127.0.0.1:0
  auth:
    tokens:
      - {name: ci, role: ingest, token: {env: CI_TOKEN}}
      - {name: boss, role: admin, token: {file: boss.token}}
sources:
  - {name: ci, type: webhook}
  - {name: reports, type: file, paths: ["in/*"]}
teams: [{name: security}]
route: {team: security, sinks: [disk], group_by: [account, region, resource, control]}
sinks: [{name: disk, type: file, path: ./tickets}]
`

// ask puts every question there is to a service and keeps the answers.
func ask(t testing.TB, d dump, name string, svc api.Service, bodies map[string][]byte) {
	t.Helper()
	ctx := t.Context()
	findings, err := svc.Findings(ctx, api.Filter{Limit: 1000})
	d.value(t, name+" findings", findings, err)
	words := []string{"sample-password", "refused-a", "DK-1", "no-such-thing"}
	for _, f := range findings.Findings {
		words = append(words, f.Fingerprint.String())
		v, err := svc.Finding(ctx, f.Fingerprint.String())
		d.value(t, name+" finding", v, err)
	}
	cases, err := svc.Cases(ctx, api.Filter{Limit: 1000})
	d.value(t, name+" cases", cases, err)
	for _, c := range cases.Cases {
		v, err := svc.Case(ctx, c.Case)
		d.value(t, name+" case", v, err)
		words = append(words, c.Case)
	}
	for _, w := range words {
		v, err := svc.Explain(ctx, w)
		d.value(t, name+" explain", v, err)
	}
	for _, b := range bodies {
		v, err := svc.RouteTest(ctx, bytes.NewReader(b), "test")
		d.value(t, name+" routes test", v, err)
	}
	rejects, err := svc.Rejects(ctx, 1000)
	d.value(t, name+" rejects", rejects, err)
	for _, r := range rejects {
		d.value(t, name+" rejects", string(r.Data), nil)
	}
	if len(findings.Findings) == 0 || len(cases.Cases) == 0 || len(rejects) == 0 {
		t.Errorf("%s: %d findings, %d cases, %d rejects; want some of each", name, len(findings.Findings), len(cases.Cases), len(rejects))
	}
	plan, err := svc.Plan(ctx, quiet)
	d.value(t, name+" plan", plan, err)
	tree, err := svc.RouteTree(ctx)
	d.value(t, name+" routes", tree, err)
	sources, err := svc.Sources(ctx)
	d.value(t, name+" sources", sources, err)
	sinks, err := svc.Sinks(ctx)
	d.value(t, name+" sinks", sinks, err)
	scopes, err := svc.Scopes(ctx)
	d.value(t, name+" scopes", scopes, err)
	verified, err := svc.Verify(ctx)
	d.value(t, name+" verify", verified, err)
	var exported bytes.Buffer
	err = svc.Export(ctx, &exported)
	d.value(t, name+" export", exported.String(), err)
}

// stored keeps every value of the state file, unpacked.
func stored(t testing.TB, d dump, path string) {
	t.Helper()
	store, err := state.Open(path, state.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	snap, err := store.View()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	raws := 0
	err = snap.EachRecord(1, func(r *triage.Record) bool {
		d.value(t, "state records", r, nil)
		whole, err := snap.Record(r.Seq)
		if err != nil {
			t.Error(err)
			return false
		}
		for _, raw := range whole.Raw {
			raws += len(raw)
			d["state raw records"] = append(d["state raw records"], raw...)
		}
		lines, err := snap.AuditFinding(r.Seq)
		d.value(t, "state stories", lines, err)
		return true
	})
	if err != nil || raws == 0 {
		t.Errorf("state holds %d bytes of raw records, %v; want some", raws, err)
	}
	err = snap.EachCase(1, func(c *triage.Case) bool {
		d.value(t, "state cases", c, nil)
		lines, err := snap.Audit(c.Number)
		d.value(t, "state stories", lines, err)
		if err := snap.Members(c.Number, func(m triage.Member) bool {
			d.value(t, "state members", m, nil)
			return true
		}); err != nil {
			t.Error(err)
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
	rejects, err := store.Rejects(1000, nil)
	d.value(t, "state rejects", rejects, err)
	for _, r := range rejects {
		d["state rejected data"] = append(d["state rejected data"], r.Data...)
	}
	rows, err := store.Outbox(1000)
	if err != nil {
		t.Error(err)
	}
	for _, r := range rows {
		a, err := state.DecodeAction(r.Data)
		d.value(t, "state outbox "+r.Case, a, err)
	}
	marks, err := store.Watermarks()
	d.value(t, "state watermarks", marks, err)
}

// TestSecretsStayInside plants secrets in the configuration and credentials in
// findings, does everything at debug level, and looks for them in everything that came out.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 3))
	list := credentials(r)
	ours := map[string]string{
		"token of the environment": "s3cr+t/" + draw(r, letters, 24) + "=?&", "token of a file": "f1l3 " + draw(r, letters, 24) + "%",
		"literal token": "l1t+" + draw(r, letters, 24),
	}
	s := newSite(t, secretsSite)
	s.env["CI_TOKEN"] = ours["token of the environment"]
	s.put("boss.token", []byte(ours["token of a file"]+"\n"))
	bodies := plantSecrets(t, list)
	for name, b := range bodies {
		s.put("in/"+name, b)
	}
	d := dump{}

	plan, err := s.offline().Plan(t.Context(), quiet)
	d.value(t, "first plan", plan, err)
	sum, err := RunOnce(t.Context(), s.config(), s.options(), time.Minute, quiet)
	d.value(t, "run", sum, err)
	if sum.TicketsCreated < len(list) || sum.Rejected == 0 {
		t.Errorf("RunOnce() = %s; want tickets and rejects", counts(sum))
	}
	ask(t, d, "offline", s.offline(), bodies)
	var shown bytes.Buffer
	err = s.config().Show(&shown)
	d.value(t, "config show", shown.String(), err)

	daemon := s.start()
	client := api.NewClient(daemon.url, ours["token of a file"])
	defer client.Close()
	ask(t, d, "daemon", client, bodies)
	keep := func(where, method, path, token string, body []byte, header ...string) {
		_, text := daemon.call(method, path, token, body, header...)
		d["answer to "+where] = append(d["answer to "+where], text...)
	}
	for name, b := range bodies {
		keep("ingest", "POST", "/api/v1/ingest/ci?origin=test", ours["token of the environment"], b)
		keep("ingest as "+name, "POST", "/api/v1/ingest/ci?format=asff", ours["token of the environment"], b)
		keep("routes test", "POST", "/api/v1/routes/test", ours["token of a file"], b)
		keep("act with a strange body", "POST", "/api/v1/act", ours["token of a file"], b)
	}
	keep("the wrong role", "GET", "/api/v1/findings", ours["token of the environment"], nil)
	keep("another scheme", "GET", "/api/v1/findings", "", nil, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("boss:"+ours["token of a file"])))
	keep("the token in a cookie", "GET", "/api/v1/findings", "", nil, "Cookie", "token="+url.QueryEscape(ours["token of a file"]))
	keep("metrics", "GET", "/metrics", ours["token of a file"], nil)
	s.configure(strings.Replace(secretsSite, "{env: CI_TOKEN}", `"`+ours["literal token"]+`"`, 1))
	keep("a reload with a literal secret", "POST", "/-/reload", ours["token of a file"], nil)
	_, err = s.read()
	d.value(t, "config check", nil, err)
	s.configure(secretsSite)
	suppress := pipeline.Interaction{Verb: pipeline.VerbSuppress, By: "ann", Suppression: &pipeline.Suppression{
		Name: "all", When: "true", Reason: "a test", Until: time.Now().Add(time.Hour)}}
	acted, err := client.Act(t.Context(), suppress)
	d.value(t, "suppress", acted, err)
	eventually(t, "the tickets are closed as accepted", func() bool {
		for _, f := range s.tickets() {
			if f.State != "closed" {
				return false
			}
		}
		return true
	})
	daemon.stop()

	d["log"] = []byte(s.log.String())
	stored(t, d, filepath.Join(s.dir, "data", stateFile))
	streams := files(t, d, s.dir)
	for where, text := range d {
		for name, secret := range ours {
			for form, shape := range forms(secret) {
				if bytes.Contains(text, []byte(shape)) {
					t.Errorf("%s: the %s is readable (%s)", where, name, form)
				}
			}
		}
		if streams[where] {
			continue // findings stand there as they came
		}
		for _, c := range list {
			if form := readable(text, c.secret); form != "" {
				t.Errorf("%s: the %s of a finding is readable (%s)%s", where, c.kind, form, around(text, c.secret))
			}
		}
	}
	for _, where := range []string{"offline findings", "daemon finding", "state raw records", "state rejected data", "state rejects"} {
		if len(d[where]) == 0 {
			t.Errorf("%s is empty; the test looked at nothing", where)
		}
	}
	for _, where := range []string{"offline finding", "state raw records", "state rejected data", "tickets"} {
		if !bytes.Contains(d[where], []byte("[masked:")) {
			t.Errorf("%s holds nothing masked; want to see that something was", where)
		}
	}
}

// files keeps every file of the site that docket wrote, and names those of the
// stream, which nobody but the owner may be able to open.
func files(t testing.TB, d dump, dir string) map[string]bool {
	t.Helper()
	streams := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(filepath.ToSlash(rel), "/")
		if first == "data" && info.Mode().Perm()&0o077 != 0 && !strings.Contains(filepath.ToSlash(rel), "data/stream/") {
			t.Errorf("%s has mode %o; want nobody but the owner to read it", rel, info.Mode().Perm())
		}
		if strings.Contains(filepath.ToSlash(rel), "data/stream") && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %o; want nobody but the owner to read it", rel, info.Mode().Perm())
		}
		if e.IsDir() || first == "in" || rel == "docket.yaml" || rel == "boss.token" {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		d["file "+rel] = b
		streams["file "+rel] = strings.HasPrefix(filepath.ToSlash(rel), "data/stream/")
		if first == "tickets" {
			d["tickets"] = append(d["tickets"], b...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return streams
}
