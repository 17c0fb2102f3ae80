package keyed

import (
	"context"
	"crypto/ed25519"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// ErrPeer means that the peer presented something else than the proof that it holds the key.
var ErrPeer = errors.New("peer has another key")

// Server proves to the client at the other end of conn that this side has the key, and has it prove
// the same. It returns only when both did, or with an error; nothing that the client sent has been
// read as anything else until then. ctx bounds the handshake. The caller owns conn, and closes it
// on an error.
func (k Key) Server(ctx context.Context, conn net.Conn) (*tls.Conn, error) {
	return k.handshake(ctx, conn, tls.Server, k.pair(purposeServer), k.pair(purposeClient))
}

// Client is the other side of Server. When it returns, the server has proved that it has the key,
// and has all that it needs to know the same of this side; that it has accepted it shows when it
// answers. Errors: ErrPeer, and what tls returns.
func (k Key) Client(ctx context.Context, conn net.Conn) (*tls.Conn, error) {
	return k.handshake(ctx, conn, tls.Client, k.pair(purposeClient), k.pair(purposeServer))
}

// Listener is Server for a side that makes use of those who connect to it, instead of serving them.
// Only a Joiner is accepted: who passes the bytes of a Client on to it, or those of a Joiner to a
// Server, gets ErrPeer.
func (k Key) Listener(ctx context.Context, conn net.Conn) (*tls.Conn, error) {
	return k.handshake(ctx, conn, tls.Server, k.pair(purposeListener), k.pair(purposeJoiner))
}

// Joiner is the other side of Listener, as Client is of Server.
func (k Key) Joiner(ctx context.Context, conn net.Conn) (*tls.Conn, error) {
	return k.handshake(ctx, conn, tls.Client, k.pair(purposeJoiner), k.pair(purposeListener))
}

func (k Key) handshake(ctx context.Context, conn net.Conn, side func(net.Conn, *tls.Config) *tls.Conn, own, peer ed25519.PrivateKey) (*tls.Conn, error) {
	if k.IsZero() {
		return nil, fmt.Errorf("prove the shared key: %w", ErrNoKey)
	}
	config, err := pinned(own, peer.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("prove the shared key: %w", err)
	}
	c := side(conn, config)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("prove the shared key: %w", err)
	}
	return c, nil
}

// pinned is the configuration of a side that has the key own and talks to the holder of peer alone.
func pinned(own ed25519.PrivateKey, peer ed25519.PublicKey) (*tls.Config, error) {
	cert, err := certificate(own)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		MaxVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cert},
		// The chain, names and dates of the peer's certificate mean nothing: VerifyConnection
		// compares its key. crypto/tls checks in any case that the peer can sign with it.
		InsecureSkipVerify: true,
		ClientAuth:         tls.RequireAnyClientCert,
		VerifyConnection:   func(state tls.ConnectionState) error { return verify(state, peer) },

		SessionTicketsDisabled: true,
		// Bulk data is the rule here, and the first bytes of a connection are not waited for by a
		// person.
		DynamicRecordSizingDisabled: true,
	}, nil
}

// verify accepts a peer with exactly this key.
func verify(state tls.ConnectionState, want ed25519.PublicKey) error {
	if state.Version != tls.VersionTLS13 || state.DidResume || len(state.PeerCertificates) != 1 {
		return ErrPeer
	}
	got, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok || subtle.ConstantTimeCompare(got, want) != 1 {
		return ErrPeer
	}
	return nil
}

// certificate wraps a key in the form that TLS wants. All of it but the key is the same for
// everybody.
func certificate(key ed25519.PrivateKey) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280: none
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
