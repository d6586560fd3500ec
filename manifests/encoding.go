package manifests

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// notUTF8 returns the encoding of a text that Kubernetes does not read, or "" for UTF-8.
func notUTF8(data []byte) string {
	for _, mark := range []struct{ bytes, name string }{
		{"\xff\xfe\x00\x00", "UTF-32LE"}, {"\x00\x00\xfe\xff", "UTF-32BE"}, {"\xff\xfe", "UTF-16LE"}, {"\xfe\xff", "UTF-16BE"},
	} {
		if bytes.HasPrefix(data, []byte(mark.bytes)) {
			return fmt.Sprintf("it is %[1]s, and Kubernetes reads UTF-8. Fix: iconv -f %[1]s -t UTF-8", mark.name)
		}
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return "it is not text: it has a zero byte in " + lineAt(data, i)
	}
	if utf8.Valid(data) {
		return ""
	}
	i := 0
	for size := 0; i < len(data); i += size {
		var r rune
		if r, size = utf8.DecodeRune(data[i:]); r == utf8.RuneError && size == 1 {
			break
		}
	}
	return fmt.Sprintf("it is not UTF-8: byte 0x%x in %s", data[i], lineAt(data, i))
}

func lineAt(data []byte, i int) string {
	return fmt.Sprintf("line %d", 1+bytes.Count(data[:i], []byte("\n")))
}
