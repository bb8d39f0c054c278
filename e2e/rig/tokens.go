package rig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// TokenService issues bearer tokens to whoever knows its user, as distribution's token
// specification has it.
type TokenService struct {
	// User and Password buy tokens.
	User, Password string
	// Life is that of a token.
	Life time.Duration
	// Grants, where it is set, says which scopes a token may have: the others are left
	// out of it, or the whole request is refused where RefusesScopes is set.
	Grants        func(scope string) bool
	RefusesScopes bool
	// Owners, where they are set, are the users who may have tokens for a namespace, which
	// is the first part of a repository's name: nobody else gets any. Each has the
	// password of his name and "-password".
	Owners map[string]string

	url, bundle string
	key         *ecdsa.PrivateKey
	certificate []byte

	mu     sync.Mutex
	issued int
}

const tokenServiceName = "registry.example"

// StartTokenService starts a token service until the test ends.
func StartTokenService(t T, life time.Duration) *TokenService {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make the token service's key: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: tokenServiceName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatalf("make the token service's certificate: %v", err)
	}
	s := &TokenService{User: "ann", Password: "secret", Life: life, key: key, certificate: certificate}
	s.bundle = filepath.Join(TempDir(t), "tokens.pem")
	if err := os.WriteFile(s.bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o644); err != nil {
		t.Fatalf("write the token service's certificate: %v", err)
	}
	server := httptest.NewServer(s)
	// Clients refuse a token service that is named by a private network's address.
	s.url = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	t.Cleanup(server.Close)
	return s
}

// config is the part of a registry's configuration that sends clients here.
func (s *TokenService) config() string {
	return fmt.Sprintf("auth: {token: {realm: %q, service: %q, issuer: %q, rootcertbundle: %q}}\n", s.url, tokenServiceName, tokenServiceName, s.bundle)
}

// Challenge is what the registry answers to whom it does not know.
func (s *TokenService) Challenge() string {
	return fmt.Sprintf(`Bearer realm=%q,service=%q`, s.url, tokenServiceName)
}

// Issued counts the tokens so far.
func (s *TokenService) Issued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issued
}

func (s *TokenService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if s.Owners == nil && (user != s.User || password != s.Password) || s.Owners != nil && password != user+"-password" {
		http.Error(w, "unknown user", http.StatusUnauthorized)
		return
	}
	type access struct {
		Type    string   `json:"type"`
		Name    string   `json:"name"`
		Actions []string `json:"actions"`
	}
	granted := []access{}
	for _, scope := range r.URL.Query()["scope"] {
		if s.Grants != nil && !s.Grants(scope) {
			if s.RefusesScopes {
				http.Error(w, "not this scope", http.StatusForbidden)
				return
			}
			continue
		}
		if parts := strings.Split(scope, ":"); len(parts) == 3 {
			if namespace, _, _ := strings.Cut(parts[1], "/"); s.Owners != nil && s.Owners[namespace] != user {
				continue
			}
			granted = append(granted, access{parts[0], parts[1], strings.Split(parts[2], ",")})
		}
	}
	s.mu.Lock()
	s.issued++
	n := s.issued
	s.mu.Unlock()
	now := time.Now()
	token, err := s.sign(map[string]any{
		"iss": tokenServiceName, "sub": user, "aud": tokenServiceName, "jti": fmt.Sprint(n), "access": granted,
		"iat": now.Unix(), "nbf": now.Add(-time.Second).Unix(), "exp": now.Add(s.Life).Unix(),
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"token":%q,"expires_in":%d,"issued_at":%q}`, token, int(s.Life.Seconds()), now.UTC().Format(time.RFC3339))
}

// sign makes a JSON Web Token (RFC 7519) with ES256 (RFC 7518, section 3.4).
func (s *TokenService) sign(claims map[string]any) (string, error) {
	header := map[string]any{"typ": "JWT", "alg": "ES256", "x5c": []string{base64.StdEncoding.EncodeToString(s.certificate)}}
	var parts []string
	for _, part := range []any{header, claims} {
		data, err := json.Marshal(part)
		if err != nil {
			return "", fmt.Errorf("encode token: %w", err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(data))
	}
	text := strings.Join(parts, ".")
	sum := sha256.Sum256([]byte(text))
	a, b, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	signature := append(a.FillBytes(make([]byte, 32)), b.FillBytes(make([]byte, 32))...)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// Expired tells whether a request came with a token that is over.
func (s *TokenService) Expired(r *http.Request) bool {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	parts := strings.Split(token, ".")
	if !found || len(parts) != 3 {
		return false
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Exp int64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(data, &claims) != nil {
		return false
	}
	return time.Now().Unix() > claims.Exp
}
