package securityhub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/internal/awsx"
)

// pageSize is the most findings on a page (API reference, GetFindings and GetFindingsV2).
const pageSize = 100

// pageBytes bounds an answer: a page of the largest findings (240 KB each; API reference, BatchImportFindings) has 24 MB.
const pageBytes = 64 << 20

// page is one answer: an array of findings in the service's own text, and the token of the next.
type page struct {
	findings []byte
	next     string
}

// fetch asks one question for one page.
func (f filter) fetch(ctx context.Context, client *securityhub.Client, p part, s span, token string) (page, error) {
	var got page
	order := func(field string) []types.SortCriterion {
		return []types.SortCriterion{{Field: aws.String(field), SortOrder: types.SortOrderAscending}}
	}
	var next *string
	if token != "" {
		next = aws.String(token)
	}
	var err error
	if f.api == V2 {
		_, err = client.GetFindingsV2(ctx, &securityhub.GetFindingsV2Input{Filters: f.v2(p, s), MaxResults: aws.Int32(pageSize), NextToken: next,
			SortCriteria: order("finding_info.modified_time_dt")}, keep(&got))
	} else {
		_, err = client.GetFindings(ctx, &securityhub.GetFindingsInput{Filters: f.v1(p, s), MaxResults: aws.Int32(pageSize), NextToken: next,
			SortCriteria: order("UpdatedAt")}, keep(&got))
	}
	if err != nil {
		return page{}, err
	}
	return got, nil
}

// keep has a call put the text of its findings aside, as the service wrote them. The SDK decodes
// what it knows and drops the rest, and refuses a page for one odd value; so it is shown an empty list instead.
func keep(into *page) func(*securityhub.Options) {
	look := middleware.DeserializeMiddlewareFunc("docket/findings", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, meta, err := next.HandleDeserialize(ctx, in)
		resp, ok := out.RawResponse.(*smithyhttp.Response)
		if err != nil || !ok || resp.StatusCode != http.StatusOK {
			return out, meta, err
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, pageBytes+1))
		closed := resp.Body.Close()
		switch {
		case err != nil: // as a request that was not answered: the SDK tries again
			return out, meta, &smithyhttp.RequestSendError{Err: fmt.Errorf("reading the answer: %w", err)}
		case closed != nil:
			return out, meta, &smithyhttp.RequestSendError{Err: fmt.Errorf("closing the answer: %w", closed)}
		case len(body) > pageBytes:
			return out, meta, fmt.Errorf("the answer has more than %d bytes", pageBytes)
		}
		if page, ok := parsePage(body); ok {
			*into, body = page, []byte(`{"Findings":[]}`)
		}
		resp.Body = io.NopCloser(bytes.NewReader(body)) // one that is no page is the SDK's to judge
		return out, meta, nil
	})
	return func(o *securityhub.Options) {
		o.APIOptions = append(slices.Clone(o.APIOptions), func(s *middleware.Stack) error {
			return s.Deserialize.Add(look, middleware.After)
		})
	}
}

func parsePage(body []byte) (page, bool) {
	var a struct {
		Findings  jsontext.Value
		NextToken *string
	}
	if err := json.Unmarshal(body, &a, lenient()); err != nil || a.Findings.Kind() != '[' {
		return page{}, false
	}
	return page{findings: a.Findings, next: aws.ToString(a.NextToken)}, true
}

// tokenGone reports whether a question that went well before is refused for its page token. The service
// has no error of its own for that; a page token is all that is new in the request.
func tokenGone(err error) bool {
	if awsx.TokenExpired(err) {
		return true
	}
	var api smithy.APIError
	return errors.As(err, &api) && (api.ErrorCode() == "InvalidInputException" || api.ErrorCode() == "ValidationException")
}
