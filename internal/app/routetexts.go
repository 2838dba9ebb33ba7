package app

import (
	"fmt"
	"maps"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/pipeline"
)

// keyTemplates is the key under which sinks find the texts of a route among a ticket's settings.
const keyTemplates = "templates"

// eachRoute calls fn for every route with its path, those above first.
func eachRoute(r config.Route, path string, fn func(r config.Route, path string)) {
	fn(r, path)
	for i, below := range r.Routes {
		eachRoute(below, fmt.Sprintf("%s.routes[%d]", path, i), fn)
	}
}

// routeTemplates are the texts that hold at each route, by its path and the sink's name: a route
// takes from the one above what it does not say itself.
func routeTemplates(root config.Route) map[string]map[string]map[string]any {
	out := map[string]map[string]map[string]any{}
	var walk func(r config.Route, path string, above map[string]map[string]any)
	walk = func(r config.Route, path string, above map[string]map[string]any) {
		here := maps.Clone(above)
		for sink, texts := range r.Templates {
			if here == nil {
				here = map[string]map[string]any{}
			}
			here[sink] = laidOver(here[sink], texts)
		}
		out[path] = here
		for i, below := range r.Routes {
			walk(below, fmt.Sprintf("%s.routes[%d]", path, i), here)
		}
	}
	walk(root, "route", nil)
	return out
}

// laidOver is a map with what over says; neither is changed.
func laidOver(under, over map[string]any) map[string]any {
	out := maps.Clone(under)
	if out == nil {
		out = map[string]any{}
	}
	maps.Copy(out, over)
	return out
}

// withTemplates are a team's settings for a sink with a route's texts laid over its own.
func withTemplates(settings, texts map[string]any) map[string]any {
	if len(texts) == 0 {
		return settings
	}
	own, _ := settings[keyTemplates].(map[string]any) // anything else was refused when the file was loaded
	return laidOver(settings, map[string]any{keyTemplates: laidOver(own, texts)})
}

// routeSettings judges the texts that routes have for a sink.
func routeSettings(cfg *config.Config, s config.Sink, sink pipeline.Sink) (errs []error) {
	judge, can := sink.(pipeline.SettingsChecker)
	eachRoute(cfg.Route, "route", func(r config.Route, path string) {
		texts, given := r.Templates[s.Name]
		path += "." + keyTemplates + "." + s.Name
		switch {
		case !given:
		case !can:
			errs = append(errs, cfg.ErrorAt(path, 0, 0, "a sink of type %s has no templates", s.Type))
		default:
			errs = append(errs, settingsErrors(cfg, path, keyTemplates+".", judge.CheckSettings(map[string]any{keyTemplates: texts}))...)
		}
	})
	return errs
}
