# The far end of Gateway.RunScript: gives source texts a channel to the controller, and runs one after
# the other. Frames over standard input and output are a letter, a length of four bytes, and that many
# bytes: S source and variables, I item, E no more items; from here also X error text, C no more items,
# and D done, whose content is not empty when this process should run no other source.
import codecs, os, struct, sys, select, traceback, linecache


def _encode(v, out):
    def head(major, n):
        if n < 24:
            out.append(bytes([major << 5 | n]))
        else:
            for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
                if n < 1 << 8 * size:
                    out.append(bytes([major << 5 | code]) + n.to_bytes(size, "big"))
                    return
            raise OverflowError("the number does not fit 64 bits")

    if v is None:
        out.append(b"\xf6")
    elif v is True or v is False:
        out.append(b"\xf5" if v else b"\xf4")
    elif isinstance(v, int):
        head(0, v) if v >= 0 else head(1, -1 - v)
    elif isinstance(v, float):
        out.append(b"\xfb" + struct.pack(">d", v))
    elif isinstance(v, str):
        b = v.encode("utf-8", "surrogateescape")
        head(3, len(b))
        out.append(b)
    elif isinstance(v, (bytes, bytearray, memoryview)):
        b = bytes(v)
        head(2, len(b))
        out.append(b)
    elif isinstance(v, (list, tuple, set, frozenset)):
        head(4, len(v))
        for x in v:
            _encode(x, out)
    elif isinstance(v, dict):
        head(5, len(v))
        for k, x in v.items():
            _encode(k, out)
            _encode(x, out)
    else:
        raise TypeError("a %s cannot be sent" % type(v).__name__)


def _decode(b, at):
    first = b[at]
    at += 1
    major, n = first >> 5, first & 31
    if 24 <= n <= 27:
        size = 1 << n - 24
        raw = b[at : at + size]
        at += size
        if major == 7:
            return {1: lambda: None, 2: lambda: struct.unpack(">e", raw)[0], 4: lambda: struct.unpack(">f", raw)[0], 8: lambda: struct.unpack(">d", raw)[0]}[size](), at
        n = int.from_bytes(raw, "big")
    elif n > 27:
        raise ValueError("an item of unknown length")
    if major == 0:
        return n, at
    if major == 1:
        return -1 - n, at
    if major in (2, 3):
        v = bytes(b[at : at + n])
        return (v if major == 2 else v.decode("utf-8", "surrogateescape")), at + n
    if major == 4:
        items = []
        for _ in range(n):
            v, at = _decode(b, at)
            items.append(v)
        return items, at
    if major == 5:
        pairs = {}
        for _ in range(n):
            k, at = _decode(b, at)
            pairs[tuple(k) if isinstance(k, list) else k], at = _decode(b, at)
        return pairs, at
    if major == 6:
        return _decode(b, at)  # what is tagged, such as the text of a time
    return {20: False, 21: True}.get(n), at


class Channel:
    """The channel of a script: what it sends, the controller receives, and the other way round."""

    class TimeoutError(IOError):
        pass

    RemoteError = EOFError

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self._ended = self._closed = False

    def _frame(self):
        head = self._reader.read(5)
        if len(head) < 5:
            return b"E", b""
        size = int.from_bytes(head[1:], "big")
        return head[:1], self._reader.read(size)

    def _put(self, kind, content=b""):
        self._writer.write(kind + len(content).to_bytes(4, "big") + content)
        self._writer.flush()

    def send(self, item):
        if self._closed:
            raise IOError("cannot send to %r: it is closed" % self)
        out = []
        _encode(item, out)
        self._put(b"I", b"".join(out))

    def receive(self, timeout=None):
        if self._ended:
            raise EOFError("no more items")
        if timeout is not None and timeout >= 0 and not self._reader.peek(timeout):
            raise self.TimeoutError("no item after %r seconds" % timeout)
        kind, content = self._frame()
        if kind == b"E":
            self._ended = True
            raise EOFError("no more items")
        return _decode(content, 0)[0]

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self.receive()
        except EOFError:
            raise StopIteration

    def close(self, error=None):
        if not self._closed:
            self._closed = True
            if error is not None:
                self._put(b"X", str(error).encode())
            else:
                self._put(b"C")

    def isclosed(self):
        return self._closed or self._ended

    def waitclose(self, timeout=None):
        for _ in self:
            pass

    def makefile(self, mode="w", proxyclose=False):
        return _File(self, mode)


class _File:
    """A file over a channel. A reader gives text, as py.execnet's does, of text and of byte strings:
    these are UTF-8, and what is none becomes surrogate escapes, which send makes bytes again."""

    def __init__(self, channel, mode):
        if mode not in ("w", "r"):
            raise ValueError("mode %r is neither w nor r" % mode)
        self.channel, self._rest = channel, ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def write(self, text):
        self.channel.send(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        pass

    def close(self):
        self.channel.close()

    def _more(self):
        """Adds an item to the rest, and returns whether there was one. A byte string may end within
        a character, of which the next one has the rest."""
        item = b""
        try:
            item, more = self.channel.receive(), True
        except EOFError:
            more = False
        if isinstance(item, str):
            self._rest += self._decoder.decode(b"", True) + item
        elif isinstance(item, bytes):
            self._rest += self._decoder.decode(item, not more)
        else:
            raise TypeError("a file cannot read a %s" % type(item).__name__)
        return more

    def read(self, n=-1):
        while (n < 0 or len(self._rest) < n) and self._more():
            pass
        n = len(self._rest) if n < 0 else n
        text, self._rest = self._rest[:n], self._rest[n:]
        return text

    def readline(self):
        while "\n" not in self._rest and self._more():
            pass
        at = self._rest.find("\n") + 1 or len(self._rest)
        line, self._rest = self._rest[:at], self._rest[at:]
        return line

    def __iter__(self):
        return iter(self.readline, "")


class _Input:
    """Standard input with a read that takes all it is asked for, and a look at whether any is there."""

    def __init__(self, fd):
        self._fd, self._have = fd, b""

    def read(self, n):
        parts, missing = [self._have[:n]], n - len(self._have)
        self._have = self._have[n:]
        while missing > 0:
            part = os.read(self._fd, max(missing, 65536))
            if not part:
                break
            parts.append(part[:missing])
            self._have = part[missing:]
            missing -= len(part)
        return b"".join(parts)

    def peek(self, timeout=0):
        return self._have or select.select([self._fd], [], [], timeout)[0]


def _traces():
    """What a source may have left in the process for the next one. It fails where that cannot be known."""
    import _signal, _thread, atexit

    try:
        os.waitpid(-1, os.WNOHANG)
        children = True
    except ChildProcessError:
        children = False
    mask = os.umask(0o77)
    os.umask(mask)
    return (
        children,
        _thread._count(),
        atexit._ncallbacks(),
        os.getcwd(),
        dict(os.environ._data),
        list(sys.path),
        (sys.stdin, sys.stdout, sys.stderr, sys.excepthook),
        (mask, os.geteuid(), os.getegid(), os.nice(0)),
        (sys.getrecursionlimit(), sys.gettrace(), sys.getprofile()),
        [_signal.getsignal(n) for n in range(1, 32)],
        _signal.getitimer(_signal.ITIMER_REAL),
    )


def _run(channel, code, source, variables):
    space = {"channel": channel, "__name__": "__channelexec__", "__builtins__": __builtins__}
    space.update(variables or {})
    linecache.cache["<source>"] = (len(source), None, source.splitlines(True), "<source>")
    try:
        if code is None:
            code = compile(source, "<source>", "exec")
        exec(code, space)
    except SystemExit as e:
        if e.code:
            channel._put(b"X", ("the script exited with %r" % (e.code,)).encode())
    except BaseException as e:
        if isinstance(e, SyntaxError):
            text = traceback.format_exception_only(type(e), e)
        else:
            text = traceback.format_exception(type(e), e, e.__traceback__.tb_next)
        channel._put(b"X", "".join(text).encode("utf-8", "backslashreplace"))
    return code


def _main():
    reader, writer = _Input(os.dup(0)), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    me, known = os.getpid(), (None, None)
    try:
        before = _traces()
    except Exception:
        before = None
    while True:
        channel = Channel(reader, writer)
        kind, content = channel._frame()
        if kind != b"S":
            return
        source, variables = _decode(content, 0)[0]
        known = source, _run(channel, known[1] if known[0] == source else None, source, variables)
        if os.getpid() != me:
            os._exit(0)  # a fork of the source's, which has come to its end
        try:
            sys.stdout.flush()
            again = before is not None and _traces() == before
        except Exception:
            again = False
        channel._put(b"D", b"" if again else b"x")
        if not again:
            return
        while not channel._ended:
            kind, content = channel._frame()
            channel._ended = kind == b"E"
        channel._closed = True  # for who still has it


_main()
