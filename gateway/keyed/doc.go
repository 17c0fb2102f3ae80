// Package keyed makes two programs that hold the same secret prove that to each other, and encrypts
// what they then say.
//
// A Key is 32 random bytes, kept in a file of one line. From it both sides derive two Ed25519 key
// pairs, the server's and the client's, and speak TLS 1.3 in which each accepts exactly the other's
// public key, from a certificate made for the moment. There is no authority, no name, no date, no
// renewal, no resumption and no early data. Who does not hold the key learns nothing but that a TLS
// server is there, and can neither begin a connection, read one, nor continue one.
//
// # Limits
//
// All that hold a key are equal: one client cannot be told from another, or be locked out alone. A
// key is replaced by giving everybody a new one. What was recorded cannot be read by somebody who
// gets the key later (each connection has an ephemeral key of its own), but with it he can pass for
// either side from then on.
package keyed
