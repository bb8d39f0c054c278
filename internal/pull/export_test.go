package pull

// Name is what the image's files are named after.
func (i Image) Name() string { return i.name() }
