package ledger

import (
	"testing"

	"golang.org/x/mod/sumdb/note"
)

func sign(tb testing.TB, c Checkpoint, key string) []byte {
	tb.Helper()
	signer, err := note.NewSigner(key)
	if err != nil {
		tb.Fatal(err)
	}
	signed, err := c.Sign(signer)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

// FuzzProof: whatever a proof holds, checking it ends, and proves nothing that
// was not signed.
func FuzzProof(f *testing.F) {
	signer, verifier, err := NewKey("example.test")
	if err != nil {
		f.Fatal(err)
	}
	good := Proof{Format: ProofFormat, Row: "{}", Checkpoint: string(sign(f, Checkpoint{Origin: "example.test", Size: 3}, signer))}
	data, err := good.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format":"drayage ledger proof v1","row":"","index":-1,"hashes":null,"checkpoint":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := DecodeProof(data)
		if err != nil {
			return
		}
		if _, _, err := p.Verify([]string{verifier}); err == nil {
			t.Errorf("proved: %s", data)
		}
	})
}

// FuzzDecode: a row that is read is written and read again as the same.
func FuzzDecode(f *testing.F) {
	for _, row := range rows() {
		data, err := row.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"time":"2026-01-01T00:00:00.0000001+01:00","durationSeconds":1e300}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Decode(data)
		if err != nil {
			return
		}
		once, err := e.Encode()
		if err != nil {
			return // a year that RFC 3339 cannot write
		}
		again, err := Decode(once)
		if err != nil {
			t.Fatalf("%s is not read back: %v", once, err)
		}
		twice, err := again.Encode()
		if err != nil || string(once) != string(twice) {
			t.Errorf("%s became %s, error %v", once, twice, err)
		}
	})
}
