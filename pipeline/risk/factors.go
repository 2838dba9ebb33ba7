package risk

import "slices"

// Factor is one named fact that raises or lowers risk, as a user configures it
// or as it is built in.
type Factor struct {
	Name   string
	When   string // CEL over finding; empty for a built-in factor
	Points int
	// Meaning says in one sentence what the fact is; users may leave it empty.
	Meaning string
}

// The built-in risk factors.
const (
	ActiveThreat      = "active_threat"
	AdminPrivilege    = "admin_privilege"
	ExploitAvailable  = "exploit_available"
	ExposedCredential = "exposed_credential"
	InternetFacing    = "internet_facing"
	KnownExploited    = "known_exploited"
	LikelyExploited   = "likely_exploited"
	NoMFA             = "no_mfa"
	Production        = "production"
	PublicExposure    = "public_exposure"
	RootIdentity      = "root_identity"
	SensitiveData     = "sensitive_data"
	Unencrypted       = "unencrypted"
)

// BuiltinFactors is the table of the built-in factors with the points they
// give unless the configuration says otherwise, sorted by name. The slice is the caller's.
func BuiltinFactors() []Factor {
	return []Factor{
		{Name: ActiveThreat, Points: 30, Meaning: "somebody is acting against the resource: a threat was seen, not only a weakness"},
		{Name: AdminPrivilege, Points: 15, Meaning: "it is about full administrative rights"},
		{Name: ExploitAvailable, Points: 15, Meaning: "the source says that an exploit for the vulnerability is available"},
		{Name: ExposedCredential, Points: 40, Meaning: "a key, password or token can be read by those who should not have it"},
		{Name: InternetFacing, Points: 10, Meaning: "the resource answers the internet by its nature"},
		{Name: KnownExploited, Points: 30, Meaning: "the vulnerability is in CISA's catalogue of known exploited vulnerabilities (KEV)"},
		{Name: LikelyExploited, Points: 15, Meaning: "the EPSS feed gives the vulnerability a high likelihood to be exploited soon; no proof that it is"},
		{Name: NoMFA, Points: 10, Meaning: "a sign-in needs no second factor"},
		{Name: Production, Points: 10, Meaning: "the resource, or else its account, is marked as production"},
		{Name: PublicExposure, Points: 20, Meaning: "the problem itself lets everybody reach or read the resource"},
		{Name: RootIdentity, Points: 20, Meaning: "it is about the root user of an account"},
		{Name: SensitiveData, Points: 15, Meaning: "the resource holds data that was found or marked to be sensitive"},
		{Name: Unencrypted, Points: 5, Meaning: "data is stored or sent without encryption"},
	}
}

// set is a set of built-in factors; bit i is the i-th of BuiltinFactors, so that it comes out sorted.
type set uint16

const (
	activeThreat set = 1 << iota
	adminPrivilege
	exploitAvailable
	exposedCredential
	internetFacing
	knownExploited
	likelyExploited
	noMFA
	production
	publicExposure
	rootIdentity
	sensitiveData
	unencrypted
)

var setNames = [...]string{ActiveThreat, AdminPrivilege, ExploitAvailable, ExposedCredential, InternetFacing, KnownExploited,
	LikelyExploited, NoMFA, Production, PublicExposure, RootIdentity, SensitiveData, Unencrypted}

// add returns names with those of s, sorted and without repeats; it allocates only when something is new.
func (s set) add(names []string) []string {
	grown := names
	for i, name := range setNames {
		if s&(1<<i) != 0 && !slices.Contains(grown, name) {
			if len(grown) == len(names) { // the caller's array is not ours to grow into
				grown = append(make([]string, 0, len(names)+4), names...)
			}
			grown = append(grown, name)
		}
	}
	slices.Sort(grown)
	return slices.Compact(grown)
}
