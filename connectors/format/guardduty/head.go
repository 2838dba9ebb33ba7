package guardduty

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
)

// Head is what a source needs to know of a finding that it passes on as it is.
type Head struct {
	ID       string // unique in its account and region
	Account  string // that the finding is about
	Updated  time.Time
	Archived bool
	Sample   bool
}

// ReadHead reads a finding's head. An error names the member that is missing or wrong.
func ReadHead(data []byte) (Head, error) {
	var f struct {
		ID        string       `json:"id"`
		AccountID string       `json:"accountId"`
		Title     string       `json:"title"`
		Updated   instant.Time `json:"updatedAt"`
		Service   struct {
			Archived   bool   `json:"archived"`
			Additional sample `json:"additionalInfo"`
		} `json:"service"`
	}
	if err := json.Unmarshal(data, &f, json.MatchCaseInsensitiveNames(true)); err != nil {
		return Head{}, err
	}
	switch {
	case f.ID == "":
		return Head{}, errors.New("id is missing")
	case f.AccountID == "":
		return Head{}, errors.New("accountId is missing")
	case f.Updated.IsZero():
		return Head{}, errors.New("updatedAt is missing")
	}
	x := finding{Title: f.Title, Service: service{Additional: f.Service.Additional}}
	return Head{ID: f.ID, Account: f.AccountID, Updated: f.Updated.Time, Archived: f.Service.Archived, Sample: x.isSample()}, nil
}
