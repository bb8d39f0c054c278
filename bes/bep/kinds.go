package bep

import (
	"hash/maphash"
	"math"
	"math/bits"

	"github.com/drayage/drayage/bes/wire"
)

// kinds remembers what Bazel calls each target's rule, in a few bytes a target:
// there are far more targets than kinds.
type kinds struct {
	seed  maphash.Seed
	names []string
	index map[string]uint16
	of    map[uint64]uint16
}

// kindSize is what one target's kind costs in the map, in bytes.
const kindSize = 24

// maxKind bounds the name of a kind, in bytes.
const maxKind = 256

// kindShare is the part of the scanner's budget that kinds may take: they explain,
// and nothing depends on them.
const kindShare = 4

// noteKind notes the kind of a target, which a TargetConfigured tells.
func (s *Scanner) noteKind(label, aspect, payload []byte) error {
	kind, err := wire.Sub(payload, 1)
	if err != nil || len(kind) == 0 || len(label) == 0 {
		return err
	}
	k := &s.kinds
	if k.of == nil {
		k.seed = maphash.MakeSeed()
		k.index = make(map[string]uint16)
		k.of = make(map[uint64]uint16)
	}
	if int64(len(k.of)+1)*kindSize > s.options.MaxBytes/kindShare {
		return nil
	}
	number, known := k.index[string(kind)]
	if !known {
		if len(k.names) > math.MaxUint16 || len(kind) > maxKind || !s.keep(int64(64+2*len(kind))) {
			return nil
		}
		number = uint16(len(k.names))
		name := text(kind)
		k.names = append(k.names, name)
		k.index[name] = number
	}
	key := maphash.Bytes(k.seed, label) ^ bits.RotateLeft64(maphash.Bytes(k.seed, aspect), 1)
	if _, known := k.of[key]; known || s.keep(kindSize) {
		k.of[key] = number
	}
	return nil
}

// kind returns what was noted for a target, in whatever configuration.
func (k *kinds) kind(target targetID) string {
	if number, ok := k.of[k.key(target)]; ok {
		return k.names[number]
	}
	return ""
}

func (k *kinds) key(target targetID) uint64 {
	if k.of == nil {
		return 0
	}
	return maphash.String(k.seed, target.label) ^ bits.RotateLeft64(maphash.String(k.seed, target.aspect), 1)
}
