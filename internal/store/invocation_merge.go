package store

import (
	"maps"
	"slices"

	"github.com/drayage/drayage/internal/sqldb"
)

// maxUnsent bounds the digests that are kept of an invocation.
const maxUnsent = 256

// merge adds what news says to what was known.
func (u Unsent) merge(news Unsent) Unsent {
	for _, digest := range news.Digests {
		switch {
		case slices.Contains(u.Digests, digest):
		case len(u.Digests) >= maxUnsent:
			u.More = true
		default:
			u.Digests = append(slices.Clip(u.Digests), sqldb.CleanText(digest))
		}
	}
	u.More = u.More || news.More
	if news.Code != "" {
		u.Code = sqldb.CleanText(news.Code)
	}
	return u
}

// merge adds what news says to what was known. What news leaves empty stays as
// it was; a finished invocation stays finished.
func (i Invocation) merge(news Invocation) Invocation {
	for _, field := range []struct{ old, news *string }{
		{&i.ID, &news.ID},
		{&i.Build, &news.Build},
		{&i.Command, &news.Command},
		{&i.BazelVersion, &news.BazelVersion},
		{&i.Owner, &news.Owner},
		{&i.ExitCode, &news.ExitCode},
	} {
		if *field.news != "" {
			*field.old = sqldb.CleanText(*field.news)
		}
	}
	if !news.Started.IsZero() {
		i.Started = news.Started.UTC()
	}
	i.Status = mergeMaps(i.Status, news.Status)
	i.Metadata = mergeMaps(i.Metadata, news.Metadata)
	i.Flags = mergeMaps(i.Flags, news.Flags)
	i.Unsent = i.Unsent.merge(news.Unsent)
	i.Unconfigured = max(i.Unconfigured, news.Unconfigured)
	i.Finished = i.Finished || news.Finished
	return i
}

func mergeMaps(old, news map[string]string) map[string]string {
	if len(news) == 0 {
		return old
	}
	merged := make(map[string]string, len(old)+len(news))
	maps.Copy(merged, old)
	size := 0
	for key, value := range old {
		size += len(key) + len(value)
	}
	for _, key := range slices.Sorted(maps.Keys(news)) {
		name, value := sqldb.CleanText(key), sqldb.CleanText(news[key])
		before, there := merged[name]
		grown := len(value) - len(before)
		if !there {
			grown += len(name)
		}
		if grown > 0 && size+grown > maxMerged {
			continue
		}
		size += grown
		merged[name] = value
	}
	return merged
}

// maxMerged bounds the keys and values of one kind that are kept of an invocation, in
// bytes. One stream cannot bring as many, but an invocation can have any number of streams.
const maxMerged = 128 << 10
