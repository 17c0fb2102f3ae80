package gateway

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/xdist-go/xdist/xspec"
)

// shellCommand makes any login shell a POSIX shell that takes one line of its input as its program:
// nothing in it has a meaning to csh or fish, it is short enough for old ones, and what follows the
// line is left to the program. To bash TMOUT, which hosts set against idle users, is a limit for
// read as well; getting an agent may take longer.
const shellCommand = `exec sh -c '` + shellReader + `'`

const shellReader = `IFS= TMOUT=0 read -r s && eval "$s"`

// shellLine is shellCommand for a shell that reads commands from its input, and may read ahead: the
// program is to be sent when readyWord was read.
const shellLine = `exec sh -c 'echo xdist-shell-is-"ready"; IFS= TMOUT=0 read -r s && eval "$s"'`

const readyWord = "xdist-shell-is-ready"

// bootstrapScript looks for the agent, asks for what it lacks, and becomes the agent. It speaks in
// lines that begin with $M, amid whatever login files print:
//
//	want SYSTEM            which agent is it for this system? SYSTEM is from uname -s -m
//	need PACKING DIRECTORY the agent is missing; it can be put into DIRECTORY. PACKING is gz or raw
//	bad DIRECTORY REASON   it cannot be put there
//	failed DIRECTORY REASON  it was put there in vain; any line is the answer
//	miss                   the agent is missing, and nothing is to be done about that
//	none                   there is no directory that would do
//	go PID FILE            the agent is started
//
// and reads lines:
//
//	agent DIGEST SIZE ARGUMENTS  what to look for, and the quoted arguments to start it with
//	again                  look once more
//	put SIZE               so many bytes follow, packed
//
// Its variables: M marker, N a name for temporary files, D digest, Z size, S system for which D is,
// E what goes before the agent, A its arguments; V is 1 to trust no file that it finds, and F to
// start the agent that is there or to end: nothing is read then, D is right, and quick looks at
// directory and file with one program, because the start waits for it. A directory
// that others may write to is not used, nor one of somebody else: nothing is made or removed in one
// before mine has looked at it. The time of an agent's .used is that of its last start; what was
// not started for 30 days goes when another agent comes. Programs cannot be started from some
// directories, which is tried.
const bootstrapScript = `
U=$(id -u); B=
say() { printf "%s\n" "$M $*"; }
mine() { set -- $(LC_ALL=C ls -ldn "$1" 2>/dev/null); case $1 in d????-??-?*) [ "$3" = "$U" ];; *) false;; esac; }
size() { set -- $(LC_ALL=C ls -lnL "$1" 2>/dev/null); echo "$5"; }
sum() {
if command -v sha256sum >/dev/null 2>&1; then set -- $(sha256sum <"$1")
elif command -v shasum >/dev/null 2>&1; then set -- $(shasum -a 256 <"$1")
elif command -v openssl >/dev/null 2>&1; then set -- $(openssl dgst -sha256 -r <"$1")
else set -- "$D"; fi; echo "$1"; }
each() { case $B in *":$1:"*) return 0;; esac; $W "$1"; }
dirs() {
W=$1
if [ -n "$XDG_CACHE_HOME" ]; then each "$XDG_CACHE_HOME/xdist"
elif [ -n "$HOME" ] && [ -d "$HOME" ]; then each "$HOME/.cache/xdist"; fi
[ -z "$XDG_RUNTIME_DIR" ] || each "$XDG_RUNTIME_DIR/xdist"
each "/var/tmp/xdist-$U"; each "/tmp/xdist-$U"; each "/dev/shm/xdist-$U"; }
runs() { t=$1/agents/.try-$N; { echo "#!/bin/sh" >"$t"; chmod 700 "$t"; "$t"; } 2>/dev/null; r=$?; rm -f "$t"; return $r; }
drop() { rmdir "$1/agents/$D" "$1/agents" "$1" 2>/dev/null; }
bad() { B="$B:$1:"; say bad "$@"; ! mine "$1" || drop "$1"; }
try() {
f=$1/agents/$D/xdist
[ ! -h "$1" ] && [ -x "$f" ] && mine "$1" && [ "$(size "$f")" = "$Z" ] || return 0
if [ -n "$V" ]; then
runs "$1" || { bad "$1" programs cannot be started from it; return 0; }
[ "$(sum "$f")" = "$D" ] || { rm -f "$f"; return 0; }
fi
{ true >"$1/agents/$D/.used"; } 2>/dev/null
say go $$ "$f"; eval "exec $E \"\$f\" $A"; }
quick() {
f=$1/agents/$D/xdist
[ ! -h "$1" ] && [ -x "$f" ] || return 0
set -- $(cd "$1" && LC_ALL=C exec ls -ldnL . "agents/$D/xdist" 2>/dev/null)
case $1 in d????-??-?*) [ "$3" = "$U" ] && [ "${14}" = "$Z" ] || return 0;; *) return 0;; esac
{ true >"${f%/*}/.used"; } 2>/dev/null
say go $$ "$f"; eval "exec $E \"\$f\" $A"; }
pick() {
[ -z "$P" ] || return 0
[ -h "$1" ] || [ -e "$1" ] || (umask 077; mkdir -p "${1%/*}"; mkdir "$1" || [ -d "$1" ]) 2>/dev/null || { bad "$1" it cannot be made; return 0; }
mine "$1" || { bad "$1" it is no directory, or belongs to somebody else, or is open to others; return 0; }
(umask 077; mkdir -p "$1/agents/$D") 2>/dev/null || { bad "$1" it cannot be made; return 0; }
runs "$1" || { bad "$1" programs cannot be started from it; return 0; }
P=$1; }
put() {
t=$P/agents/$D/.up-$N; trap 'rm -f "$t"' 0; trap 'rm -f "$t"; exit 1' 1 2 13 15
find "$P/agents" -name '.[ut]*-*' -mmin +60 -exec rm -f {} ';' 2>/dev/null
find "$P/agents" -name .used -mtime +30 -exec sh -c 'rm -rf "${1%/*}"' - {} ';' 2>/dev/null
if [ $K = gz ]; then head -c "$1" | { gzip -dc >"$t"; cat >/dev/null; }
else head -c "$1" | { cat >"$t"; cat >/dev/null; }; fi
e=; [ "$(size "$t")" = "$Z" ] || e="$(size "$t") bytes of $Z could be written"
[ -n "$e" ] || [ "$(sum "$t")" = "$D" ] || e="the digest of what was written is wrong"
[ -n "$e" ] || { chmod 700 "$t" && mv -f "$t" "$P/agents/$D/xdist"; } || e="the file cannot be renamed"
trap - 0 1 2 13 15; rm -f "$t"
[ -z "$e" ] || { drop "$P"; B="$B:$P:"; say failed "$P" "$e"; read -r c || exit 1; }; }
K=raw; ! command -v gzip >/dev/null 2>&1 || K=gz
[ -z "$F" ] || { dirs quick; say miss; exit 1; }
H=$(uname -s -m); [ "$S" = "$H" ] || D=
while :; do
if [ -z "$D" ]; then say want "$H"
else
dirs try; P=; dirs pick
[ -n "$P" ] || { say none; exit 1; }
say need $K "$P"
fi
TMOUT=0 read -r c a b d || exit 1
case $c in agent) D=$a; Z=$b; A=$d;; put) put "$a";; esac
done
`

// bootstrapProgram is the script with its variables, on one line.
func bootstrapProgram(b *bootstrap, agent knownAgent) string {
	var prefix strings.Builder
	if len(b.env) > 0 {
		prefix.WriteString("env")
		for _, v := range b.env {
			prefix.WriteString(" " + quoteWord(v.Name+"="+v.Value))
		}
	}
	for _, w := range b.wrapper {
		prefix.WriteString(" " + quoteWord(w))
	}
	var s strings.Builder
	s.WriteString(`nl=$(printf "\012x"); nl=${nl%x}; `)
	fmt.Fprintf(&s, "%s=%s; export %s; ", agentMark.Name, agentMark.Value, agentMark.Name)
	for _, v := range []xspec.Var{
		{Name: "M", Value: b.marker}, {Name: "N", Value: b.nonce}, {Name: "S", Value: agent.system}, {Name: "D", Value: agent.Digest},
		{Name: "Z", Value: strconv.FormatInt(agent.size, 10)}, {Name: "V", Value: b.verify}, {Name: "F", Value: b.fast}, {Name: "E", Value: prefix.String()},
		{Name: "A", Value: quoteWords(agent.Args)},
	} {
		fmt.Fprintf(&s, "%s=%s; ", v.Name, quoteWord(v.Value))
	}
	s.WriteString(oneLine(bootstrapScript))
	return s.String()
}

func quoteWords(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quoteWord(w)
	}
	return strings.Join(quoted, " ")
}

// oneLine joins the lines of a script.
func oneLine(script string) string {
	var s strings.Builder
	for line := range strings.SplitSeq(strings.TrimSpace(script), "\n") {
		s.WriteString(line)
		open := strings.HasSuffix(line, "{") || strings.HasSuffix(line, "then") || strings.HasSuffix(line, "do") || strings.HasSuffix(line, "else")
		if open {
			s.WriteString(" ")
		} else {
			s.WriteString("; ")
		}
	}
	return s.String()
}

// endSessionScript kills the session that a process has led, on one line: again and again, because
// a process may fork while the list is read, until only dead ones are left. Where there is no /proc
// it is the process group.
func endSessionScript(pid int) string {
	return fmt.Sprintf(`s=%d; [ -r /proc/self/stat ] || { kill -9 -$s; exit; } 2>/dev/null; n=0; while [ $n -lt 20 ]; do n=$((n+1)); k=; `+
		`for f in /proc/[0-9]*/stat; do { IFS= read -r l <"$f"; } 2>/dev/null || continue; p=${l%%%% *}; l=${l##*) }; set -- $l; `+
		`[ "$4" = $s ] && [ "$1" != Z ] && [ "$1" != X ] && k="$k $p"; done; [ -n "$k" ] || exit 0; kill -9 $k 2>/dev/null; done`, pid)
}

// quoteWord writes a word for a POSIX shell, on one line whatever it holds, provided that the
// variable nl of the shell holds a newline.
func quoteWord(word string) string {
	word = strings.ReplaceAll(word, "'", `'\''`)
	word = strings.ReplaceAll(word, "\n", `'"$nl"'`)
	return "'" + word + "'"
}
