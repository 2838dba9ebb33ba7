package awstest

import (
	"encoding/json"
	"slices"
	"time"
	"unicode/utf8"
)

// hubBatch is how many findings one update may name (API reference, BatchUpdateFindings).
const hubBatch = 100

// hubNoteRunes is the longest note and comment (API reference, NoteUpdate and BatchUpdateFindingsV2).
const hubNoteRunes = 512

// hubStamp is how the service writes an instant.
const hubStamp = "2006-01-02T15:04:05.000Z"

// hubID names a finding in an update.
type hubID struct {
	ID         string `json:"Id"`
	ProductArn string
}

// hubUpdate is what BatchUpdateFindings may change.
type hubUpdate struct {
	FindingIdentifiers      []hubID
	Note                    *struct{ Text, UpdatedBy string }
	Severity                json.RawMessage
	VerificationState       string
	Confidence, Criticality *int
	Types                   []string
	UserDefinedFields       map[string]string
	Workflow                *struct{ Status string }
	RelatedFindings         json.RawMessage
}

func (u *hubUpdate) check() error {
	switch {
	case len(u.FindingIdentifiers) == 0:
		return hubInvalid("Invalid parameter 'FindingIdentifiers'. It is empty")
	case len(u.FindingIdentifiers) > hubBatch:
		return hubInvalid("Invalid parameter 'FindingIdentifiers'. %d findings, %d is the limit", len(u.FindingIdentifiers), hubBatch)
	case u.Note != nil && (u.Note.Text == "" || u.Note.UpdatedBy == ""):
		return hubInvalid("Invalid parameter 'Note'. Text and UpdatedBy are required")
	case u.Note != nil && utf8.RuneCountInString(u.Note.Text) > hubNoteRunes:
		return hubInvalid("Invalid parameter 'Note.Text'. The length is more than %d", hubNoteRunes)
	case u.Workflow != nil && !slices.Contains([]string{"NEW", "NOTIFIED", "RESOLVED", "SUPPRESSED"}, u.Workflow.Status):
		return hubInvalid("Invalid parameter 'Workflow.Status'. %q is no workflow status", u.Workflow.Status)
	}
	for _, id := range u.FindingIdentifiers {
		if id.ID == "" || id.ProductArn == "" {
			return hubInvalid("Invalid parameter 'FindingIdentifiers'. Id and ProductArn are required")
		}
	}
	return nil
}

// members are the members of a finding that the update sets. UpdatedAt is not among them: the
// service leaves it as it is (API reference, BatchUpdateFindings).
func (u *hubUpdate) members(now time.Time) (map[string]json.RawMessage, error) {
	set := map[string]any{}
	if u.Note != nil {
		set["Note"] = map[string]string{"Text": u.Note.Text, "UpdatedBy": u.Note.UpdatedBy, "UpdatedAt": now.UTC().Format(hubStamp)}
	}
	if u.Workflow != nil {
		set["Workflow"] = u.Workflow
	}
	if u.UserDefinedFields != nil {
		set["UserDefinedFields"] = u.UserDefinedFields
	}
	if u.VerificationState != "" {
		set["VerificationState"] = u.VerificationState
	}
	if u.Confidence != nil {
		set["Confidence"] = u.Confidence
	}
	if u.Criticality != nil {
		set["Criticality"] = u.Criticality
	}
	if u.Types != nil {
		set["Types"] = u.Types
	}
	if u.Severity != nil {
		set["Severity"] = u.Severity
	}
	if u.RelatedFindings != nil {
		set["RelatedFindings"] = u.RelatedFindings
	}
	out := map[string]json.RawMessage{}
	for name, v := range set {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		out[name] = text
	}
	return out, nil
}

func (h *SecurityHub) batchUpdate(at hubPlace, r *Request) (any, error) {
	var in hubUpdate
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	set, err := in.members(h.now())
	if err != nil {
		return nil, err
	}
	done, failed := []any{}, []any{}
	seen := map[hubID]bool{}
	for _, id := range in.FindingIdentifiers {
		code, message := h.update(at, id, seen, set)
		if code == "" {
			done = append(done, id)
			continue
		}
		failed = append(failed, map[string]any{"FindingIdentifier": id, "ErrorCode": code, "ErrorMessage": message})
	}
	return map[string]any{"ProcessedFindings": done, "UnprocessedFindings": failed}, nil
}

// update changes one finding, or says with a code of the API reference
// (BatchUpdateFindingsUnprocessedFinding) why not.
func (h *SecurityHub) update(at hubPlace, id hubID, seen map[hubID]bool, set map[string]json.RawMessage) (code, message string) {
	f := h.findings[hubKey{id.ProductArn, id.ID}]
	switch {
	case seen[id]:
		return "DuplicatedFindingIdentifier", "Finding Identifier is duplicated"
	case h.unprocessed[id.ID] != "":
		return h.unprocessed[id.ID], "Internal service failure"
	case f == nil || !h.visible(at, f.Account, f.Region):
		return "FindingNotFound", "Finding Not Found"
	}
	seen[id] = true
	err := f.write(func(members map[string]json.RawMessage) {
		for name, v := range set {
			members[name] = v
		}
	})
	if err != nil {
		return "InvalidInput", "Invalid Input"
	}
	h.writes++
	return "", ""
}

// FailUpdates makes every update of a finding fail with a code, as ConcurrentUpdateError, until the code is empty. The id
// is the ASFF Id or the OCSF metadata.uid.
func (h *SecurityHub) FailUpdates(id, code string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unprocessed[id] = code
}
