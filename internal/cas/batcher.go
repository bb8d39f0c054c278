package cas

import "sync"

// batcher sends items together that are added while earlier ones are under way.
// An item that finds nothing under way goes at once: no timer holds it back.
type batcher[K comparable, I any] struct {
	parallel int
	// take says how many items from the front of a queue, one at least, make the
	// next batch.
	take func(queue []I) int
	// send carries a batch out and tells each of its items how it went.
	send func(K, []I)

	running *sync.WaitGroup

	mu     sync.Mutex
	queues map[K]*batchQueue[I]
}

type batchQueue[I any] struct {
	items []I
	busy  int
}

func newBatcher[K comparable, I any](running *sync.WaitGroup, parallel int, take func([]I) int, send func(K, []I)) *batcher[K, I] {
	return &batcher[K, I]{parallel: parallel, take: take, send: send, running: running, queues: map[K]*batchQueue[I]{}}
}

func (b *batcher[K, I]) add(key K, item I) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.queues[key]
	if q == nil {
		q = &batchQueue[I]{}
		b.queues[key] = q
	}
	q.items = append(q.items, item)
	if q.busy < b.parallel {
		q.busy++
		b.running.Go(func() { b.drain(key, q) })
	}
}

// drain sends batches until the queue is empty.
func (b *batcher[K, I]) drain(key K, q *batchQueue[I]) {
	for {
		b.mu.Lock()
		if len(q.items) == 0 {
			q.busy--
			if q.busy == 0 {
				delete(b.queues, key)
			}
			b.mu.Unlock()
			return
		}
		n := b.take(q.items)
		batch := q.items[:n:n]
		q.items = q.items[n:]
		b.mu.Unlock()
		b.send(key, batch)
	}
}
