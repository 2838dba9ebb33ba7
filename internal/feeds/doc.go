// Package feeds reads what is published about CVEs in general: CISA's catalogue of known exploited
// vulnerabilities (KEV) and the scores of FIRST's Exploit Prediction Scoring System (EPSS), from a file or from an
// address. Of each it keeps the last good copy, so that a restart, a dead server and a broken
// download change nothing. It decides nothing: pipeline/risk asks the copies.
//
// The forms are those of
// https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities_schema.json and
// https://www.first.org/epss/data_stats.
package feeds
