package ledgerlog

import (
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// subtree is a complete tree over 2^level rows at the right edge of what was read.
type subtree struct {
	level int
	hash  tlog.Hash
}

// grow adds a leaf to the computed tree and compares each subtree that it
// completes with the stored one.
func (v *verification) grow(leaf tlog.Hash, at, index int64, stored map[int64]tlog.Hash) {
	node := subtree{hash: leaf}
	for len(v.right) > 0 && v.right[len(v.right)-1].level == node.level {
		left := v.right[len(v.right)-1]
		v.right = v.right[:len(v.right)-1]
		node = subtree{level: node.level + 1, hash: tlog.NodeHash(left.hash, node.hash)}
		if kept, there := stored[at+int64(node.level)]; (!there || kept != node.hash) && !v.broken {
			v.problemf(-1, index, "the log's hash over the %d rows up to here was changed", int64(1)<<node.level)
			v.broken = true
		}
	}
	v.right = append(v.right, node)
}

// root is the hash over the rows so far.
func (v *verification) root() tlog.Hash {
	if len(v.right) == 0 {
		empty, _ := tlog.TreeHash(0, nil) // of no rows; reads nothing
		return empty
	}
	root := v.right[len(v.right)-1].hash
	for _, left := range slices.Backward(v.right[:len(v.right)-1]) {
		root = tlog.NodeHash(left.hash, root)
	}
	return root
}

// checkRoots compares the tree over the first size rows with the checkpoints of
// that size.
func (v *verification) checkRoots(size int64) {
	roots, there := v.expected[size]
	if !there {
		return
	}
	root, right := v.root(), true
	for _, expected := range roots {
		right = right && expected == root
	}
	switch {
	case right:
		v.agreed, v.broken = size, false
	case !v.broken:
		// Once is enough: every later checkpoint is wrong for the same reason.
		v.problemf(-1, -1, "the checkpoint at %d rows does not match: rows %d to %d of the log were changed, and so were the log's hashes of them",
			size, v.agreed, size-1)
		v.broken = true
	}
}
