package admission

import "strings"

// Proved tells whether a client, as [Admission.Identify] names it, has shown a token or a
// certificate.
func Proved(client string) bool { return !strings.HasPrefix(client, addressPrefix) }
