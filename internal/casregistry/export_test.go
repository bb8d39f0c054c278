package casregistry

import "time"

// SetNow has uploads grow old on a clock of the test's.
func (r *Registry) SetNow(now func() time.Time) { r.uploads.now = now }
