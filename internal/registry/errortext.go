package registry

import (
	"encoding/xml"
	"fmt"
	"html"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// maxErrors bounds the errors of one answer that are told.
	maxErrors = 8
	// maxDetail bounds what is told of an error's detail, in bytes.
	maxDetail = 200
)

// errorText is what the body of an error says: the codes of the distribution spec, and a
// text for people.
func errorText(contentType string, body []byte) (codes []string, text string) {
	trimmed := strings.TrimSpace(strings.TrimPrefix(string(body), "\ufeff"))
	if trimmed == "" {
		return nil, ""
	}
	if codes, text, ok := jsonError([]byte(trimmed)); ok {
		return codes, text
	}
	if strings.HasPrefix(trimmed, "<") {
		if text := xmlError(trimmed); text != "" {
			return nil, text
		}
		return nil, htmlError(trimmed)
	}
	if strings.Contains(contentType, "octet-stream") {
		return nil, ""
	}
	return nil, trimmed
}

// oneError is an error of the distribution spec, or what comes near it.
type oneError struct {
	Code    any            `json:"code"`
	Message any            `json:"message"`
	Detail  jsontext.Value `json:"detail"`
}

// jsonError reads errors as the distribution spec has them, and as others do.
func jsonError(body []byte) (codes []string, text string, ok bool) {
	var line string
	if unmarshalLoosely(body, &line) == nil {
		return nil, line, true
	}
	var doc map[string]jsontext.Value
	if unmarshalLoosely(body, &doc) != nil {
		return nil, "", false
	}
	var texts []string
	for _, raw := range several(doc["errors"]) {
		if len(texts) == maxErrors {
			break
		}
		var one oneError
		if unmarshalLoosely(raw, &one) != nil {
			texts = append(texts, plainJSON(raw))
			continue
		}
		code := textOf(one.Code)
		if code != "" {
			codes = append(codes, code)
		}
		message, detail := textOf(one.Message), plainJSON(one.Detail)
		if detail == message || strings.Contains(message, detail) {
			detail = ""
		}
		if detail != "" {
			detail = "(" + detail + ")"
		}
		texts = append(texts, strings.TrimSpace(strings.Join(strings.Fields(code+" "+message+" "+detail), " ")))
	}
	for _, key := range []string{"error", "message", "error_description", "error_message", "title", "detail", "details", "reason", "msg"} {
		if text := plainJSON(doc[key]); text != "" && len(texts) < maxErrors && !strings.Contains(strings.Join(texts, " "), text) {
			texts = append(texts, text)
		}
	}
	return codes, strings.Join(texts, "; "), true
}

// several are the elements of an array, or what is in its place.
func several(raw jsontext.Value) []jsontext.Value {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var list []jsontext.Value
	if unmarshalLoosely(raw, &list) == nil {
		return list
	}
	return []jsontext.Value{raw}
}

func textOf(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return fmt.Sprint(v)
	}
	return ""
}

// plainJSON is a JSON value for people: a string as it is, the message in an object,
// anything else as JSON.
func plainJSON(raw jsontext.Value) string {
	var text string
	var object struct {
		Message string `json:"message"`
	}
	switch trimmed := strings.TrimSpace(string(raw)); {
	case trimmed == "" || trimmed == "null" || trimmed == "{}" || trimmed == "[]" || trimmed == `""` || trimmed == "true" || trimmed == "false":
		return ""
	case unmarshalLoosely(raw, &text) == nil:
		return text
	case unmarshalLoosely(raw, &object) == nil && object.Message != "":
		return object.Message
	default:
		return shorten(trimmed, maxDetail)
	}
}

// xmlError reads an error of S3's kind, in which storage answers.
func xmlError(body string) string {
	var doc struct {
		XMLName xml.Name `xml:"Error"`
		Code    string   `xml:"Code"`
		Message string   `xml:"Message"`
	}
	if xml.Unmarshal([]byte(body), &doc) != nil {
		return ""
	}
	return strings.TrimSpace(doc.Code + " " + doc.Message)
}

var (
	htmlTitle   = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)
	htmlHeading = regexp.MustCompile(`(?is)<h1[^>]*>(.*?)</h1>`)
	htmlHidden  = regexp.MustCompile(`(?is)<(script|style)[^>]*>.*?</(script|style)>|<!--.*?-->`)
	htmlTag     = regexp.MustCompile(`(?s)<[^>]*>?`)
)

// htmlError is what a page says in its title, or else in its text.
func htmlError(page string) string {
	text := ""
	for _, part := range []*regexp.Regexp{htmlTitle, htmlHeading} {
		if found := part.FindStringSubmatch(page); found != nil && text == "" {
			text = strings.TrimSpace(htmlTag.ReplaceAllString(found[1], " "))
		}
	}
	if text == "" {
		text = strings.TrimSpace(htmlTag.ReplaceAllString(htmlHidden.ReplaceAllString(page, " "), " "))
	}
	if text == "" {
		return "an HTML page"
	}
	return "an HTML page: " + html.UnescapeString(text)
}
