package bes

// replay holds a stream's messages from the oldest that is not acknowledged on, in
// chunks: a message costs its own bytes and four more.
type replay struct {
	head, tail *chunk
	// next is the sequence number that the next message will have.
	next int64
	// bytes counts the memory of all chunks.
	bytes int64
}

// chunk is a run of consecutive messages. Its bytes are never moved or changed, so
// that a sent message can lie in it for as long as gRPC needs.
type chunk struct {
	first int64  // sequence number
	data  []byte // nil once it is on disk
	ends  []uint32
	next  *chunk

	extent  extent // on disk
	queued  bool   // for the disk
	dropped bool
}

const (
	smallestChunk = 4 << 10 // of an idle stream
	largestChunk  = 64 << 10
	// chunkMessage is what a message costs beside its bytes: its place in ends.
	chunkMessage = 4
)

// last is the sequence number of the chunk's last message.
func (c *chunk) last() int64 { return c.first + int64(len(c.ends)) - 1 }

// bounds says where the message with the given sequence number lies in the chunk's
// bytes.
func (c *chunk) bounds(sequence int64) (start, end uint32) {
	n := sequence - c.first
	if n > 0 {
		start = c.ends[n-1]
	}
	return start, c.ends[n]
}

// need is by how much the memory would grow if a message of n bytes were added.
func (r *replay) need(n int) int64 {
	if r.tail != nil && cap(r.tail.data)-len(r.tail.data) >= n {
		return chunkMessage
	}
	return int64(max(n, r.chunkSize())) + chunkMessage
}

func (r *replay) chunkSize() int {
	if r.tail == nil {
		return smallestChunk
	}
	return min(2*max(cap(r.tail.data), smallestChunk), largestChunk)
}

// add appends a copy of the message.
func (r *replay) add(b []byte) {
	grown := r.need(len(b))
	t := r.tail
	if t == nil || cap(t.data)-len(t.data) < len(b) {
		t = &chunk{first: r.next, data: make([]byte, 0, max(len(b), r.chunkSize()))}
		if r.tail == nil {
			r.head = t
		} else {
			r.tail.next = t
		}
		r.tail = t
	}
	t.data = append(t.data, b...)
	t.ends = append(t.ends, uint32(len(t.data)))
	r.next++
	r.bytes += grown
}

// drop lets the oldest chunk go, and says how much memory that frees.
func (r *replay) drop() int64 {
	h := r.head
	h.dropped = true
	size := int64(cap(h.data) + chunkMessage*len(h.ends))
	r.head = h.next
	if r.head == nil {
		r.tail = nil
	}
	r.bytes -= size
	return size
}

// release drops what lies wholly at or before the given sequence number, except the
// chunk that is being filled. It says how much memory that frees.
func (r *replay) release(sequence int64) int64 {
	var freed int64
	for r.head != nil && r.head != r.tail && r.head.last() <= sequence {
		freed += r.drop()
	}
	return freed
}
