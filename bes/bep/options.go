package bep

// Options say what a Scanner looks for and how much it may keep.
type Options struct {
	// OutputGroup names the output group whose files are push specs, whatever they
	// are called. Defaults to [DefaultOutputGroup].
	OutputGroup string

	// FileSuffix ends the name of a push spec. Defaults to [DefaultFileSuffix].
	FileSuffix string

	// PushKinds are what Bazel calls the rules whose targets always have push specs.
	// Defaults to [DefaultPushKinds].
	PushKinds []string

	// PushTag is the tag of targets that have push specs, whatever their rule. Defaults
	// to [DefaultPushTag].
	PushTag string

	// MaxBytes bounds what is kept for the life of the stream: sets that hold push
	// specs, kinds of targets, push targets. Defaults to [DefaultMaxBytes].
	MaxBytes int64

	// MaxInlineBytes bounds the push specs of the stream whose bytes are in the events
	// themselves. Defaults to [DefaultMaxInlineBytes].
	MaxInlineBytes int64

	// WindowBytes bounds the recent sets that are kept as they came, for push spec
	// groups whose files do not end in FileSuffix. Defaults to
	// [DefaultWindowBytes]; negative means none.
	WindowBytes int
}

const (
	// DefaultOutputGroup is the group in which image_push lists its push spec.
	DefaultOutputGroup = "push_spec"

	// DefaultFileSuffix ends the name of every push spec that image_push writes.
	DefaultFileSuffix = ".pushspec.json"

	// DefaultPushTag is for targets of rules that push sometimes, and of rules that are
	// not Drayage's.
	DefaultPushTag = "drayage-push"

	// DefaultMaxBytes keeps some 30,000 push specs of one stream: thirty times the
	// images of a very large repository.
	DefaultMaxBytes = 16 << 20

	// DefaultMaxInlineBytes is room for the push specs of some ten images. Bazel puts none
	// into its events: it says where their bytes are. What is in the events is copied
	// into every job, and into memory with it.
	DefaultMaxInlineBytes = 1 << 20

	// DefaultWindowBytes keeps the last few hundred sets of a few files each. A set
	// comes directly before what first refers to it, so few are needed.
	DefaultWindowBytes = 256 << 10

	// maxWindowSet is the largest set, in encoded bytes, that the window takes. A
	// push spec group holds one file or a few.
	maxWindowSet = 16 << 10

	// maxSpecsPerEvent bounds the push specs that one target can yield.
	maxSpecsPerEvent = 1 << 16
)

// DefaultPushKinds are the rules of Drayage that always have push specs.
func DefaultPushKinds() []string { return []string{"image_push rule", "multi_push rule"} }

func (o Options) withDefaults() Options {
	if o.PushKinds == nil {
		o.PushKinds = DefaultPushKinds()
	}
	if o.PushTag == "" {
		o.PushTag = DefaultPushTag
	}
	if o.OutputGroup == "" {
		o.OutputGroup = DefaultOutputGroup
	}
	if o.FileSuffix == "" {
		o.FileSuffix = DefaultFileSuffix
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxInlineBytes == 0 {
		o.MaxInlineBytes = DefaultMaxInlineBytes
	}
	if o.WindowBytes == 0 {
		o.WindowBytes = DefaultWindowBytes
	}
	return o
}
