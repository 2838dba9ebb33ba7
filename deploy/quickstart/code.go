package quickstart

import "time"

// codeRule is a scanner's rule; level is SARIF's word.
type codeRule struct{ id, level, score, short, help string }

// place is one result: a rule at a line of a file.
type place struct {
	rule  int
	path  string
	line  int
	text  string
	flags string // suppressed or nothing
}

// report makes a SARIF document with one run.
func report(tool, repository string, end time.Time, rules []codeRule, places []place) object {
	var described, results []object
	for _, r := range rules {
		d := object{"id": r.id, "shortDescription": object{"text": r.short}, "help": object{"text": r.help},
			"defaultConfiguration": object{"level": r.level}}
		if r.score != "" {
			d["properties"] = object{"security-severity": r.score, "tags": []string{"security"}}
		}
		described = append(described, d)
	}
	for _, p := range places {
		r := rules[p.rule]
		result := object{
			"ruleId": r.id, "ruleIndex": p.rule, "level": r.level, "message": object{"text": r.short + " in " + p.path},
			"locations": []object{{"physicalLocation": object{
				"artifactLocation": object{"uri": p.path, "uriBaseId": "%SRCROOT%"},
				"region":           object{"startLine": p.line, "snippet": object{"text": p.text}},
			}}},
		}
		if p.flags == "suppressed" {
			result["suppressions"] = []object{{"kind": "inSource", "status": "accepted", "justification": "checked: the value is a constant"}}
		}
		results = append(results, result)
	}
	return object{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
		"runs": []object{{
			"tool":                     object{"driver": object{"name": tool, "version": "1.0.0", "rules": described}},
			"versionControlProvenance": []object{{"repositoryUri": repository, "branch": "main", "revisionId": hex(40, repository+stamp(end))}},
			"invocations":              []object{{"executionSuccessful": true, "endTimeUtc": stamp(end)}},
			"results":                  results,
		}},
	}
}

// storefront is the shop's web application, scanned twice. In the second run
// the code moved down by five lines, one place was fixed and one is new.
func storefront(run int) object {
	rules := []codeRule{
		{"javascript.express.security.audit.xss.direct-response-write", "error", "", "Text of a user is written into a page unescaped",
			"Use the template engine, which escapes."},
		{"javascript.lang.security.audit.sqli.node-postgres-sqli", "error", "", "A query is put together from text of a user",
			"Pass values as parameters."},
		{"javascript.lang.security.audit.path-traversal.path-join-resolve-traversal", "warning", "", "A path is made from text of a user",
			"Compare the result with the folder it has to stay in."},
		{"javascript.lang.security.audit.detect-non-literal-regexp", "note", "", "A regular expression is made from a variable",
			"Use a fixed expression, or check its length."},
	}
	places := []place{
		{0, "src/pages/search.js", 41, "res.send('<h1>' + req.query.q + '</h1>')", ""},
		{0, "src/pages/order.js", 88, "res.write(order.note)", ""},
		{1, "src/db/products.js", 23, "db.query(`select * from products where name = '${name}'`)", ""},
		{1, "src/db/customers.js", 57, "db.query('select * from customers where id = ' + id)", ""},
		{2, "src/files/download.js", 12, "fs.readFile(path.join(root, req.params.name))", ""},
		{2, "src/files/upload.js", 30, "fs.writeFile(path.join(root, file.name), data)", "suppressed"},
		{3, "src/search/filter.js", 19, "new RegExp(pattern)", ""},
		{3, "src/search/filter.js", 64, "new RegExp(pattern)", ""},
	}
	if run > 0 {
		for i := range places {
			places[i].line += 5
		}
		places[1] = place{0, "src/pages/returns.js", 71, "res.write(reason)", ""}
	}
	return report("Semgrep OSS", "https://git.example.com/shop/storefront", day().AddDate(0, 0, run-1), rules, places)
}

// ledger is the payments team's service.
func ledger() object {
	rules := []codeRule{
		{"go/sql-injection", "error", "8.8", "Database query built from user-controlled sources", "Use placeholders."},
		{"go/log-injection", "error", "7.8", "Log entries created from user input", "Remove line breaks before logging."},
		{"go/weak-sensitive-data-hashing", "warning", "7.5", "Use of a broken hash on sensitive data", "Use a password hash."},
		{"go/disabled-certificate-check", "warning", "7.5", "Disabled TLS certificate check", "Remove InsecureSkipVerify."},
	}
	return report("CodeQL", "https://git.example.com/payments/ledger", day().Add(-3*time.Hour), rules, []place{
		{0, "internal/book/search.go", 112, `db.Query("select * from entries where memo like '" + q + "'")`, ""},
		{0, "internal/book/export.go", 48, `db.Query("select " + columns + " from entries")`, ""},
		{1, "internal/http/log.go", 33, `log.Printf("path %s", r.URL.Path)`, ""},
		{1, "internal/http/log.go", 61, `log.Printf("agent %s", r.UserAgent())`, ""},
		{2, "internal/card/token.go", 20, "sum := md5.Sum([]byte(pan))", ""},
		{3, "internal/bank/client.go", 77, "InsecureSkipVerify: true,", ""},
	})
}

// secrets is a scan of the storefront for credentials. The key is the one that AWS's
// own documentation uses as an example; docket masks it all the same.
func secrets() object {
	rules := []codeRule{
		{"aws-access-token", "error", "", "AWS credentials in the repository", "Delete the key at AWS first; then take it out of the code."},
		{"generic-api-key", "error", "", "An API key in the repository", "Revoke the key; then take it out of the code."},
	}
	return report("gitleaks", "https://git.example.com/shop/storefront", day().Add(-30*time.Minute), rules, []place{
		{0, "deploy/upload.sh", 4, "export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", ""},
	})
}
