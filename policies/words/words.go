// Package words formats counts and lists for people, and finds similar words.
package words

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Plural returns a count with its noun: "1 Pod", "2 Pods".
func Plural[N int | int32 | int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Names lists the objects' names, sorted: "a", "a and b", "a, b and 7 more".
func Names[T interface{ GetName() string }](objects []T) string {
	all := make([]string, len(objects))
	for i, o := range objects {
		all[i] = o.GetName()
	}
	slices.Sort(all)
	return List(all)
}

// List lists the items in their order.
func List(items []string) string { return Enumerate(slices.Values(items), int64(len(items))) }

// Enumerate lists at most four of count items, so that a message stays readable.
func Enumerate(items iter.Seq[string], count int64) string {
	const most = 4
	var shown []string
	for item := range items {
		if shown = append(shown, item); len(shown) == most {
			break
		}
	}
	switch {
	case count == 0:
		return "none"
	case count == 1:
		return shown[0]
	case count <= most:
		return strings.Join(shown[:count-1], ", ") + " and " + shown[count-1]
	default:
		return fmt.Sprintf("%s and %d more", strings.Join(shown[:most-1], ", "), count-most+1)
	}
}

// Shell quotes a word for a shell if necessary.
func Shell(word string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("@%+=:,./-_", r)
	}
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Capital returns the text with its first letter in upper case.
func Capital(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + text[size:]
}

// Similar reports whether two words differ by at most two letters.
func Similar(a, b string) bool {
	const most = 2
	if len(a)-len(b) > most || len(b)-len(a) > most || a == "" || b == "" {
		return a == b
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := corner
			if a[i] != b[j] {
				replaced++
			}
			corner = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)] <= most
}
