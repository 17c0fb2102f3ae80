package gateway

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/xdist-go/xdist/xspec"
)

// windowsServer is in the version of Windows' OpenSSH, whatever its default shell and its language
// are.
const windowsServer = "OpenSSH_for_Windows"

// powerShell is the dialect of Windows PowerShell 5 and later.
func powerShell() dialect {
	return dialect{"Windows AMD64", powerShellProgram, powerShellArguments}
}

// powerShellStart reads one line of input, byte by byte, and runs it. It must not grow: cmd.exe
// takes 8191 characters.
const powerShellStart = `$ProgressPreference='SilentlyContinue';$in=[Console]::OpenStandardInput();` +
	`function RL{$l=New-Object IO.MemoryStream;while($true){$c=$in.ReadByte();if($c -lt 0){exit 1};if($c -eq 10){break};$l.WriteByte($c)};` +
	`[Text.Encoding]::UTF8.GetString($l.ToArray())};Invoke-Expression (RL)`

// powerShellCommand has the same meaning to cmd.exe and to PowerShell.
func powerShellCommand() string {
	var utf16le []byte
	for _, u := range utf16.Encode([]rune(powerShellStart)) {
		utf16le = binary.LittleEndian.AppendUint16(utf16le, u)
	}
	return "powershell -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand " + base64.StdEncoding.EncodeToString(utf16le)
}

// powerShellScript is bootstrapScript for Windows. There is one directory, which belongs to the
// user. The agent is started as a process that inherits the handles, because PowerShell's own pipes
// are for text. Names of variables are the same in both cases there.
const powerShellScript = `
$out=[Console]::OpenStandardOutput()
function Say($t){$b=[Text.Encoding]::UTF8.GetBytes("$mark $t` + "`n" + `");$out.Write($b,0,$b.Length);$out.Flush()}
function Sum($p){$s=[IO.File]::OpenRead($p);$h=[BitConverter]::ToString([Security.Cryptography.SHA256]::Create().ComputeHash($s)).Replace('-','').ToLower();$s.Close();$h}
$machine=$env:PROCESSOR_ARCHITECTURE
if($env:PROCESSOR_ARCHITEW6432){$machine=$env:PROCESSOR_ARCHITEW6432}
if($system -ne "Windows $machine"){$digest=''}
$bad=$false
while($true){
if(-not $digest){Say "want Windows $machine"}
else{
$dir=Join-Path $env:LOCALAPPDATA "xdist\agents\$digest"
$file=Join-Path $dir 'xdist.exe'
if((Test-Path -LiteralPath $file) -and ((Get-Item -LiteralPath $file).Length -eq $size) -and ((-not $verify) -or ((Sum $file) -eq $digest))){
Say "go 0 $file"
$i=New-Object Diagnostics.ProcessStartInfo
$i.FileName=$file
$i.Arguments=$arguments
$i.UseShellExecute=$false
$p=[Diagnostics.Process]::Start($i)
$p.WaitForExit()
exit $p.ExitCode
}
if($bad){Say 'none';exit 1}
$null=New-Item -ItemType Directory -Force -Path $dir
Say "need gz $dir"
}
$w=(RL).Split(' ',4)
if($w[0] -eq 'agent'){$digest=$w[1];$size=[long]$w[2];$arguments=$w[3]}
if($w[0] -eq 'put'){
$n=[long]$w[1]
$m=New-Object IO.MemoryStream
$b=New-Object byte[] 65536
while($n -gt 0){$r=$in.Read($b,0,[Math]::Min($n,65536));if($r -le 0){exit 1};$m.Write($b,0,$r);$n-=$r}
$m.Position=0
$t=Join-Path $dir ".up-$nonce"
try{
$g=New-Object IO.Compression.GZipStream($m,[IO.Compression.CompressionMode]::Decompress)
$f=[IO.File]::Create($t)
try{$g.CopyTo($f)}finally{$f.Close()}
if((Sum $t) -ne $digest){throw 'the digest of what was written is wrong'}
Move-Item -Force -LiteralPath $t -Destination $file
}catch{
Remove-Item -Force -ErrorAction SilentlyContinue -LiteralPath $t
$bad=$true
Say "failed $dir $(([string]$_).Replace([string][char]10,' '))"
$null=RL
}
}
}
`

// powerShellProgram is the script with its variables, on one line.
func powerShellProgram(b *bootstrap, agent knownAgent) string {
	var s strings.Builder
	for _, v := range markAgent(b.env) {
		fmt.Fprintf(&s, "[Environment]::SetEnvironmentVariable(%s,%s);", powerShellQuote(v.Name), powerShellQuote(v.Value))
	}
	for _, v := range []xspec.Var{
		{Name: "mark", Value: b.marker}, {Name: "nonce", Value: b.nonce}, {Name: "system", Value: agent.system},
		{Name: "digest", Value: agent.Digest}, {Name: "verify", Value: b.verify}, {Name: "arguments", Value: powerShellArguments(agent.Args)},
	} {
		fmt.Fprintf(&s, "$%s=%s;", v.Name, powerShellQuote(v.Value))
	}
	fmt.Fprintf(&s, "$size=%d;", agent.size)
	s.WriteString(powerShellScript)
	return "Invoke-Expression ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('" + base64.StdEncoding.EncodeToString([]byte(s.String())) + "')))"
}

// powerShellQuote writes a string, in which nothing but the quote has a meaning. There are
// typographic ones too.
func powerShellQuote(text string) string {
	for _, quote := range []string{"'", "\u2018", "\u2019", "\u201a", "\u201b"} {
		text = strings.ReplaceAll(text, quote, quote+quote)
	}
	return "'" + text + "'"
}

// powerShellArguments is a command line as programs on Windows take it apart.
func powerShellArguments(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = a
		if a == "" || strings.ContainsAny(a, " \t\"") {
			quoted[i] = windowsQuote(a)
		}
	}
	return strings.Join(quoted, " ")
}

// windowsQuote puts quotes around an argument. Backslashes count only ahead of a quote.
func windowsQuote(a string) string {
	var b strings.Builder
	slashes := 0
	b.WriteByte('"')
	for i := range len(a) {
		switch a[i] {
		case '\\':
			slashes++
		case '"':
			b.WriteString(strings.Repeat(`\`, slashes+1))
			slashes = 0
		default:
			slashes = 0
		}
		b.WriteByte(a[i])
	}
	b.WriteString(strings.Repeat(`\`, slashes) + `"`)
	return b.String()
}
