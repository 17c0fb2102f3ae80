// Package rsync makes directories on other hosts hold what a directory here holds, over the
// channels of gateways.
//
// The nouns, in the order you meet them: a [Source] says what is sent; a scan of it gives a
// manifest, which is a list of entries with the digests of their contents; a [Target] is a
// directory on the host of a gateway; the receiver is the handler [Receive] in that gateway's
// agent; a round is one exchange between sender and receiver; a packet is a compressed item of it;
// the memory of either side is what it knows of its files from the last time. [Watch] makes rounds
// whenever something changes. [Pull] and [Fetch] go the other way: the agent offers a list, the
// controller asks for what differs.
//
// A round: the receiver looks at its directory as soon as it is started, while the source is
// scanned. It gets the digest of the manifest. If that is what it has, and nobody has touched its
// files, that was all. Otherwise it gets the chunks of the manifest that it does not have, asks for
// whole files or with signatures of what it has for what has changed in them, and writes what comes
// under temporary names until it is complete.
//
// What tells that a file was touched is its size, its times and its inode. The time of change
// counts, because nobody can set it. Where a system has none (Windows), contents are read each
// time. A file that changed within 20 ms of the look is read again the next time. The receiver
// looks while the controller scans, so that an unchanged tree costs one round trip, and what others
// have altered or left behind is found. Whole files are covered by the packets' sums and by a
// second look at the source's times; deltas and resumed files by the digest of the whole.
//
// On Unix a first sync is bound by system calls. So the receiver opens each directory once, by way
// of the os.Root, and makes and names files in it by single names. What fails there, and all on
// Windows, goes through the os.Root. A file that is replaced changes in one step. A file where
// nothing was gets its name at once and has no record before it is complete: the next sync looks at
// what an interrupted one has left there.
//
// Watch takes what the system tells of changes for a reason to look, and for no more: systems
// forget when there is too much, and tell nothing of network file systems. What is sent is always
// what a look has found. It watches the directories that git does not ignore, and looks now and
// then besides. Agents of xdist are built without it, by the tag xdist_agent.
//
// Every goroutine ends before the function that started it returns; a held [Target] has none here.
// Send's ctx ends everything, and what has arrived by then is used by the next sync. An agent that
// is there and neither says nor takes anything for five minutes, or what an option says, ends its
// own part with [ErrSilent].
//
// Limits: directories and links keep no times; owners, hard links, extended attributes and holes
// are not kept; two names that differ only in case are a conflict on systems that take them for
// one. Names of the form .xdist-sync-….part are left out. A list of all entries is in memory on
// both sides, about 1 KB for each; contents are not.
package rsync
