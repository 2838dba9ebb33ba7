package format

import (
	"github.com/docket-hub/docket/connectors/format/zap"
	"github.com/docket-hub/docket/pipeline"
)

// zapXML reports whether a document is ZAP's XML report.
func zapXML(format string, text opened) bool {
	begin, _ := text.Peek(peekBytes) // an error comes again when it is read
	return (format == "" || format == zap.Name) && zap.IsXML(begin)
}

// zapXML reads ZAP's XML report; its records are those of the JSON report.
func (p *splitter) zapXML(text opened) error {
	p.known = true
	report := zap.NewXML(text, p.opt.MaxRecord)
	err := report.Each(func(data []byte) error {
		return p.hand(pipeline.Record{Format: zap.Name, Origin: p.opt.Origin, Index: p.index, Observed: report.Time(), Data: data})
	}, func(r zap.Refused) error {
		p.v.reset(r.Line)
		p.v.data = append(p.v.data, r.Data[:min(len(r.Data), pipeline.RejectBytes)]...)
		return p.reject(&p.v, r.Reason)
	})
	if why := unpacking(err); why != "" {
		return p.refuseText(why)
	}
	if err == nil && p.doc.Records+p.doc.Rejected == 0 {
		p.note("the " + zap.Name + " report holds no findings")
	}
	return err
}
