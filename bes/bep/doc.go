// Package bep reads just enough of Bazel's build events to find push specs.
//
// A [Scanner] is handed the events of one stream, in order, as the bytes of
// build_event_stream.BuildEvent. It reads them straight from the wire: of an
// event that cannot matter it looks at the field numbers and at nothing else.
//
//	scanner := bep.NewScanner(bep.Options{})
//	for event := range events {
//		found, err := scanner.Scan(event)
//		if err != nil {
//			log.Warn().Err(err).Msg("build event is malformed")
//			continue
//		}
//		for _, spec := range found.Specs {
//			// spec.Label was built; spec.File says where its push spec is.
//		}
//	}
//
// # What counts as a push spec
//
// A file of the default output group whose name ends in [Options.FileSuffix],
// and every file of the output group named [Options.OutputGroup]. A file that is
// in both is reported once, as one of the latter.
//
// # What is remembered
//
// Bazel announces files in named sets, which nest, and says afterwards which
// target they belong to. A set can be referred to until the stream ends: there is
// no "not used again" signal (bazel#12173). So the scanner keeps the files whose
// name ends in the suffix, and of other sets' links those that lead to such a
// file. All else costs nothing, however many sets there are.
//
// That leaves files of the push spec group that do not end in the suffix. Bazel
// sends a set directly before the first event that refers to it, so the most
// recent small sets are kept as they came, up to [Options.WindowBytes]. In short:
// with the suffix a file is found wherever its set lies in the stream; without
// it, when its set (of [maxWindowSet] bytes at most) came shortly before the
// target. A push spec group that refers to a set which is in neither place is
// reported in [Found.Lost], never passed over.
//
// What is kept for the stream's life counts against [Options.MaxBytes]. When
// that is reached nothing more is kept, [Found.Full] says so once, and files that
// lay in what was not kept are not found.
package bep
