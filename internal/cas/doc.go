// Package cas reads blobs from a content-addressable storage that speaks the
// Remote Execution API: the remote cache of a build.
//
// Small blobs are read with BatchReadBlobs, calls that are made at the same time
// sharing one request; large ones are streamed with ByteStream, and a stream
// that breaks goes on at the offset that it had reached. Nothing here keeps a
// blob on disk, nor a large one in memory.
package cas
