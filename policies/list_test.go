package policies

import (
	"strings"
	"testing"
)

func TestList(t *testing.T) {
	for value, want := range map[string]string{"": "", " , ,": "", "a": "a", " a ,b,, c": "a|b|c"} {
		if got := strings.Join(list(value), "|"); got != want {
			t.Errorf("list(%q) is %s, want %s", value, got, want)
		}
	}
}
