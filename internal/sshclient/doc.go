// Package sshclient connects to hosts as OpenSSH's client does. What ssh NAME reaches is reached by
// the same name, with the same configuration, keys and jump hosts.
//
// ParseTarget reads a destination and its options, as ssh's command line has them, into a Target.
// Dialer.Host looks up what the configuration says of it, which is a Host. Dialer.Dial goes the way
// to the host and returns a Client, on which sessions are opened. An Origin is where the way
// begins: this machine, or another one. An Error says in which Phase the way has ended.
//
// # What is followed
//
// Where the program ssh is OpenSSH's, ssh -G tells the configuration. Elsewhere the same files are
// read here, with Host, Match and Include. These keywords count:
//
//	HostName Port User BatchMode ConnectTimeout ServerAliveInterval ServerAliveCountMax
//	ProxyJump ProxyCommand ProxyUseFdpass
//	IdentityFile IdentitiesOnly IdentityAgent CertificateFile
//	PubkeyAuthentication PasswordAuthentication KbdInteractiveAuthentication
//	UserKnownHostsFile GlobalKnownHostsFile HashKnownHosts HostKeyAlias StrictHostKeyChecking
//	RevokedHostKeys
//
// Files of known hosts are read as ssh reads them: patterns, hashed names, ports, authorities and
// revoked keys. A key revocation list is read by ssh-keygen, and not on Windows. An own
// configuration that others may write is refused, and a private key that others may read is not
// offered. What ssh would wait for, such as a FIFO as a key, is an error.
//
// On purpose these are not as in ssh:
//
//   - A changed host key is refused, whatever StrictHostKeyChecking says. Its "no" and "off" mean
//     accept-new: the key of an unknown host is added to the first of the user's files, and
//     Config.Logger is warned. Its "ask" means yes.
//   - A host is given up after 15 s without an answer: ServerAliveInterval is 5 and
//     ServerAliveCountMax 3 where the configuration does not say. ssh -G does not tell an interval
//     of 0 in a file from none, so that it stands for 5 as well.
//   - A password that was right is remembered by user and host, and an unlocked key by its file,
//     for as long as the Dialer lives.
//   - ProxyUseFdpass is an error.
//
// # Goroutines
//
// A Dialer has none. A Client has one that waits for its end, one for the keep-alive, one for each
// question that the host has not answered, and those that Client.Go was given. Client.Close ends
// the connection and joins them all. Those of x/crypto end with the connection.
//
// # Cancellation
//
// The context of Dialer.Host and Dialer.Dial bounds the call. Its end closes the connection that is
// being made and, with Host, kills ssh and what that has started. Config.Prompt takes no context:
// while somebody is asked, Dial does not return.
//
// # Limits
//
// Ciphers, KexAlgorithms, MACs and HostKeyAlgorithms of the configuration are not applied, and
// neither are PubkeyAcceptedAlgorithms and CASignatureAlgorithms. The algorithms are those that
// x/crypto prefers. Of host keys those are asked for whose kind is known for the host, all where
// none is. So a host that x/crypto has no algorithm in common with cannot be reached, and a policy
// of the system for algorithms does not hold.
//
// All other keywords of a file change nothing. Of those that -o takes, these change nothing either:
//
//	AddKeysToAgent ForwardAgent LogLevel NumberOfPasswordPrompts RequestTTY
//
// Without OpenSSH, lines that only it can decide are passed over with a warning:
// CanonicalizeHostname and a Match with exec or another condition that is not known here.
//
// Keys on tokens are used only through an agent. An agent is a Unix socket, on Windows too. There
// the modes of files say nothing of who may read them, and are not looked at.
package sshclient
