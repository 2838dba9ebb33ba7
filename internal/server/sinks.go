package server

import (
	"context"
	"net/http"

	"github.com/docket-hub/docket/internal/api"
)

func (s *Server) testSinks(x *exchange, r *http.Request) error {
	q, err := query(r, "create")
	if err != nil {
		return err
	}
	create, err := flag(q, "create")
	if err != nil {
		return err
	}
	var in api.SinkNames
	if err := s.decode(r, &in); err != nil {
		return err
	}
	return stream(s, x, r, func(ctx context.Context, p api.Progress) ([]api.SinkTest, error) {
		list, err := s.o.Service.TestSinks(ctx, in.Sinks, create, p)
		return some(list), err
	})
}

func (s *Server) preview(x *exchange, r *http.Request) error {
	q, err := query(r, "sink")
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if err := text(id); err != nil {
		return err
	}
	list, err := s.o.Service.Preview(r.Context(), id, q.Get("sink"))
	if err != nil {
		return err
	}
	return answer(x, http.StatusOK, some(list))
}

func (s *Server) reconcile(x *exchange, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	var in api.ReconcileRequest
	if err := s.decode(r, &in); err != nil {
		return err
	}
	return stream(s, x, r, func(ctx context.Context, p api.Progress) (api.Reconciliation, error) {
		v, err := s.o.Service.Reconcile(ctx, in, p)
		v.Sinks, v.Differences = some(v.Sinks), some(v.Differences)
		return v, err
	})
}
