package web

import (
	_ "embed"
	"net/http"
)

// openAPIDocument describes the API in the terms of OpenAPI 3.1.
//
//go:embed openapi.json
var openAPIDocument []byte

func openAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPIDocument)
}
