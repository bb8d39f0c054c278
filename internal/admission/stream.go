package admission

// MayStream tells whether a client may send build events at all. It may have nothing
// pushed by that: see [Admission.MayPush].
func (a *Admission) MayStream(client string) bool {
	return a.policy.Stream == nil || matchesAny(a.policy.Stream, client, matchClient)
}
