package load

// WriteArchive is the archive that a program is given, without the program.
var WriteArchive = writeArchive
