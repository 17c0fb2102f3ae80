// Package netns makes hosts of their own for tests, on one Linux machine: each a network, process,
// mount, host name and IPC namespace with a real OpenSSH server in it, reached over a cable of its
// own that can be slow, lossy and cut.
//
// A World is the controller's network, in which a test starts its commands; they see the machine's
// files. AddHost puts a Host into it. A host sees the machine's programs and nothing else of it:
// its root is an empty file system with /usr, /bin, /lib and /etc of the machine in it, read-only,
// without the Go toolchain, and with a home, /tmp and /var/tmp of its own. A Cable carries the
// packets between the two; it is a pair of TUN devices and goroutines in this process, since
// network emulation is in few kernels.
//
// A host's first process is the program that made it, started again (Main). It ends when its
// standard input does, and everything in the host with it; namespaces, mounts and devices belong to
// nobody else. So nothing is left of a World when it is closed, nor when its process is killed: the
// machine's own namespaces never hear of it.
//
// Goroutines: four for each cable and one for each host, joined by Close.
//
// Limits: Linux as root only (Supported says why not); IPv4 only; hosts cannot reach each other or
// any other network; a host has the machine's clock, cores, memory and users. It needs no Debian
// package but openssh-server.
package netns
