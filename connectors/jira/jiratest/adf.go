package jiratest

import (
	"encoding/json"
	"slices"
	"strings"
)

// notADocument is what version 3 says to a plain string.
const notADocument = "Operation value must be an Atlassian Document (see the Atlassian Document Format)"

// node is a node of a document in the Atlassian Document Format.
type node struct {
	Type    string            `json:"type"`
	Version int               `json:"version"`
	Text    *string           `json:"text"`
	Content []node            `json:"content"`
	Marks   []json.RawMessage `json:"marks"`
	Attrs   struct {
		Level     int    `json:"level"`
		PanelType string `json:"panelType"`
	} `json:"attrs"`
}

// unsupported is the vague refusal of a document that breaks the format's rules.
const unsupported = "We can't create this issue for you right now, it could be due to unsupported content you've entered into one or more of the issue fields."

// documentText checks a document and returns its text.
// Source of the rules: the published JSON schema of the format.
func documentText(raw json.RawMessage) (text, complaint string) {
	var doc node
	if json.Unmarshal(raw, &doc) != nil || doc.Type != "doc" || doc.Version != 1 {
		return "", notADocument
	}
	var b strings.Builder
	if !doc.write(&b, nil) {
		return "", unsupported
	}
	return strings.TrimRight(b.String(), "\n"), ""
}

// write appends the text of a node; false: the node breaks a rule.
func (n node) write(b *strings.Builder, above []string) bool {
	parent := ""
	if len(above) > 0 {
		parent = above[len(above)-1]
	}
	switch n.Type {
	case "text":
		if n.Text == nil || *n.Text == "" || parent == "doc" || parent == "tableCell" || parent == "codeBlock" && len(n.Marks) > 0 {
			return false
		}
		b.WriteString(*n.Text)
		return true
	case "hardBreak":
		b.WriteString("\n")
		return true
	case "heading":
		if n.Attrs.Level < 1 || n.Attrs.Level > 6 {
			return false
		}
	case "bulletList", "orderedList":
		if len(n.Content) == 0 {
			return false
		}
	case "panel":
		if !slices.Contains([]string{"info", "note", "tip", "warning", "error", "success", "custom"}, n.Attrs.PanelType) {
			return false
		}
	case "paragraph":
		if slices.Contains(above, "paragraph") {
			return false
		}
	case "doc":
		if parent != "" {
			return false
		}
	}
	for _, child := range n.Content {
		if !child.write(b, append(above, n.Type)) {
			return false
		}
	}
	if slices.Contains([]string{"paragraph", "heading", "codeBlock"}, n.Type) {
		b.WriteString("\n")
	}
	return true
}

// document is a text as version 3 shows it.
func (t richText) document() any {
	if t.doc != nil {
		return t.doc
	}
	paragraphs := []any{}
	for line := range strings.SplitSeq(t.text, "\n") {
		p := map[string]any{"type": "paragraph", "content": []any{}}
		if line != "" {
			p["content"] = []any{map[string]any{"type": "text", "text": line}}
		}
		paragraphs = append(paragraphs, p)
	}
	return map[string]any{"type": "doc", "version": 1, "content": paragraphs}
}
