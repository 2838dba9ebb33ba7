package feeds

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/docket-hub/docket/internal/httpx"
)

const (
	// maxBody is how long a copy may be as it is sent: EPSS has about 2 MB packed and 10 MB unpacked.
	maxBody = 64 << 20
	// fetchWithin bounds one download.
	fetchWithin = 2 * time.Minute
)

// fetcher asks one address.
type fetcher struct {
	client *httpx.Client
	path   string // with its query
}

func newFetcher(o Options) (*fetcher, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		u = &url.URL{} // refused below, in words that do not repeat the address
	}
	client, err := httpx.New(httpx.Options{
		Base: u.Scheme + "://" + u.Host, Timeout: fetchWithin, Log: o.Log, Transport: o.Transport, Now: o.Now, MaxBody: maxBody, Follow: true,
	})
	if err != nil {
		return nil, err
	}
	path := strings.TrimPrefix(u.EscapedPath(), "/")
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return &fetcher{client, path}, nil
}

// fetched is an answer; body is nil when the copy that we have is still the newest.
type fetched struct {
	body           []byte
	etag, modified string
}

func (f *fetcher) get(ctx context.Context, etag, modified string) (fetched, error) {
	h := http.Header{"Accept": {"*/*"}}
	if etag != "" {
		h.Set("If-None-Match", etag)
	}
	if modified != "" {
		h.Set("If-Modified-Since", modified)
	}
	r, err := f.client.Send(ctx, httpx.Request{Method: http.MethodGet, Path: f.path, Header: h})
	if err != nil {
		return fetched{}, err
	}
	if r.Status == http.StatusNotModified {
		return fetched{}, nil
	}
	out := fetched{body: r.Body, etag: r.Header.Get("ETag"), modified: r.Header.Get("Last-Modified")}
	if out.body == nil {
		out.body = []byte{}
	}
	return out, nil
}
