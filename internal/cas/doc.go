// Package cas reads blobs from the remote cache of a build: a content-addressable
// storage (CAS) that speaks the Remote Execution API.
//
// Small blobs are read with BatchReadBlobs; calls at the same time share a request.
// Large blobs are streamed with ByteStream, and a stream that breaks continues at
// its offset. No blob is kept on disk, and no large blob in memory.
package cas
