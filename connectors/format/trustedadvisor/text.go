package trustedadvisor

import (
	"html"
	"strings"
)

// sections are the parts of a check's description that a ticket shows.
type sections struct {
	what string // what the check looks at and why
	fix  string // the recommended action
}

// sectionsOf takes a description apart at its headings. Its HTML becomes plain text.
func sectionsOf(description string) sections {
	var s sections
	part := &s.what
	for line := range strings.SplitSeq(text(description), "\n") {
		line = strings.TrimSpace(line)
		switch strings.ToLower(strings.TrimSuffix(line, ":")) {
		case "alert criteria", "additional resources", "additional information", "source":
			part = nil
			continue
		case "recommended action":
			part = &s.fix
			continue
		}
		if part != nil && line != "" {
			*part = join("\n", *part, line)
		}
	}
	return s
}

// text is HTML as lines: tags that break a line become a break, all others vanish.
func text(doc string) string {
	var b strings.Builder
	for doc != "" {
		before, rest, ok := strings.Cut(doc, "<")
		b.WriteString(before)
		if !ok {
			break
		}
		tag, after, closed := strings.Cut(rest, ">")
		if !closed {
			b.WriteString("<" + rest)
			break
		}
		name := strings.ToLower(strings.Trim(tag, "/ "))
		name, _, _ = strings.Cut(name, " ")
		switch name {
		case "br", "p", "li", "ul", "ol", "div", "h1", "h2", "h3", "h4", "h5":
			b.WriteByte('\n')
		}
		doc = after
	}
	return html.UnescapeString(b.String())
}

// reference is the page of the AWS Support user guide that describes the checks of a category.
func reference(category string) string {
	page := map[string]string{
		"security": "security-checks", "cost_optimizing": "cost-optimization-checks", "performance": "performance-checks",
		"fault_tolerance": "fault-tolerance-checks", "service_limits": "service-limits",
		"operational_excellence": "operational-excellence-checks",
	}[category]
	if page == "" {
		page = "trusted-advisor-check-reference"
	}
	return "https://docs.aws.amazon.com/awssupport/latest/user/" + page + ".html"
}

// console is where a person sees the checks of a category.
func console(category string) string {
	return "https://console.aws.amazon.com/trustedadvisor/home#/category/" + strings.ReplaceAll(category, "_", "-")
}
