package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// NewKey makes a key that signs checkpoints, and the key that verifies them.
// The name is the log's: something like a host name, without spaces or plus
// signs.
func NewKey(name string) (signer, verifier string, err error) {
	signer, verifier, err = note.GenerateKey(rand.Reader, name)
	if err != nil {
		return "", "", fmt.Errorf("make log key: %w", err)
	}
	return signer, verifier, nil
}

// algEd25519 is package note's number for Ed25519 keys.
const algEd25519 = 1

// VerifierKey is the public half of a signer key.
func VerifierKey(signer string) (string, error) {
	s, err := note.NewSigner(signer)
	if err != nil {
		return "", fmt.Errorf("read signer key: %w", err)
	}
	// PRIVATE+KEY+<name>+<hash>+<base64 of the algorithm and the seed>,
	// where the base64 may hold plus signs of its own.
	parts := strings.SplitN(signer, "+", 5)
	seed, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(seed) != 1+ed25519.SeedSize || seed[0] != algEd25519 {
		return "", errors.New("read signer key: it is not an Ed25519 key")
	}
	public, ok := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("read signer key: it is not an Ed25519 key")
	}
	return note.NewEd25519VerifierKey(s.Name(), public)
}
