package ledger

// Latest returns the newest row of each push, in the order of the given rows, which must
// be of one invocation and have the newest first. The rows of a push that was staged,
// requeued or rolled back tell its story; its newest row tells how it stands.
func Latest(entries []Entry) []Entry {
	latest := []Entry{}
	type push struct{ target, configuration, aspect, spec string }
	seen := map[push]bool{}
	for _, e := range entries {
		of := push{e.Target, e.Configuration, e.Aspect, e.SpecDigest}
		if seen[of] {
			continue
		}
		seen[of] = true
		latest = append(latest, e)
	}
	return latest
}
