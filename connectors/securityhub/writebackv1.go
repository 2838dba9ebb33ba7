package securityhub

import (
	"context"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
	"github.com/go-json-experiment/json"

	"github.com/docket-hub/docket/connectors/format/asff"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/pipeline"
)

// markV1 names a report that came in the ASFF.
func markV1(r *pipeline.Report) (pipeline.Mark, bool) {
	var f struct {
		ID         string `json:"Id"`
		ProductARN string `json:"ProductArn"`
		Account    string `json:"AwsAccountId"`
		Region     string `json:"Region"`
	}
	if len(r.Raw) == 0 || json.Unmarshal(r.Raw, &f) != nil || f.ID == "" || !strings.Contains(f.ProductARN, ":securityhub:") {
		return pipeline.Mark{}, false
	}
	if f.Region == "" {
		f.Region = r.Region
	}
	return pipeline.Mark{ID: f.ID, Product: f.ProductARN, Account: f.Account, Region: f.Region}, true
}

// clientV1 is what bookV1 calls.
type clientV1 interface {
	GetFindings(context.Context, *securityhub.GetFindingsInput, ...func(*securityhub.Options)) (*securityhub.GetFindingsOutput, error)
	BatchUpdateFindings(context.Context, *securityhub.BatchUpdateFindingsInput, ...func(*securityhub.Options)) (*securityhub.BatchUpdateFindingsOutput, error)
}

// bookV1 is one place of Security Hub, in the ASFF. What docket set a workflow status to stands in a user-defined
// field beside it, so that the decoder tells docket's own status from a person's.
type bookV1 struct {
	client clientV1
	pace   *pacer
}

func (b bookV1) line(note string, _ pipeline.MarkStatus) string { return note }

func (b bookV1) read(ctx context.Context, marks []pipeline.Mark) (map[string]held, error) {
	in := &securityhub.GetFindingsInput{Filters: &types.AwsSecurityFindingFilters{}, MaxResults: aws.Int32(100)}
	for i := range marks {
		in.Filters.Id = append(in.Filters.Id, types.StringFilter{Comparison: types.StringFilterComparisonEquals, Value: &marks[i].ID})
	}
	out := map[string]held{}
	for pages := securityhub.NewGetFindingsPaginator(b.client, in); pages.HasMorePages(); {
		if err := b.pace.wait(ctx); err != nil {
			return nil, err
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awsx.Class(err)
		}
		for i := range page.Findings {
			f := &page.Findings[i]
			h := held{defined: f.UserDefinedFields, own: pipeline.MarkStatus(f.UserDefinedFields[asff.OwnWorkflow]), status: pipeline.MarkNew}
			if f.Workflow != nil && f.Workflow.Status != "" {
				h.status = pipeline.MarkStatus(f.Workflow.Status)
			}
			if f.Note != nil {
				h.note, h.by = aws.ToString(f.Note.Text), aws.ToString(f.Note.UpdatedBy)
			}
			out[key(&pipeline.Mark{ID: aws.ToString(f.Id), Product: aws.ToString(f.ProductArn)})] = h
		}
	}
	return out, nil
}

func (b bookV1) write(ctx context.Context, of []held, c change) ([]refusal, error) {
	in := &securityhub.BatchUpdateFindingsInput{}
	byKey := map[string]*held{}
	for i := range of {
		m := &of[i].mark
		byKey[key(m)] = &of[i]
		in.FindingIdentifiers = append(in.FindingIdentifiers, types.AwsSecurityFindingIdentifier{Id: &m.ID, ProductArn: &m.Product})
	}
	if c.note != "" {
		in.Note = &types.NoteUpdate{Text: &c.note, UpdatedBy: &c.by}
	}
	if c.status != "" {
		in.Workflow = &types.WorkflowUpdate{Status: types.WorkflowStatus(c.status)}
		in.UserDefinedFields = maps.Clone(c.defined)
		in.UserDefinedFields[asff.OwnWorkflow] = string(c.status)
	}
	out, err := b.client.BatchUpdateFindings(ctx, in)
	if err != nil {
		return nil, awsx.Class(err)
	}
	var refused []refusal
	for _, u := range out.UnprocessedFindings {
		id := pipeline.Mark{}
		if u.FindingIdentifier != nil {
			id.ID, id.Product = aws.ToString(u.FindingIdentifier.Id), aws.ToString(u.FindingIdentifier.ProductArn)
		}
		r := refusal{mark: id, reason: aws.ToString(u.ErrorCode) + ": " + aws.ToString(u.ErrorMessage)}
		switch aws.ToString(u.ErrorCode) {
		case "FindingNotFound":
			r.gone = true
		case "ConcurrentUpdateError", "InternalFailure":
			r.later = true
		}
		refused = append(refused, r)
	}
	return refused, nil
}
