package render

import (
	"io"
	"log"
	"os"
	"sync"
)

var (
	silence sync.Mutex
	silent  int
	spoken  *os.File
)

// quiet stops the packages of Helm and kustomize from writing to standard error, until the returned function is called. They have
// no other way.
func quiet() func() {
	silence.Lock()
	defer silence.Unlock()
	if silent++; silent == 1 {
		spoken = os.Stderr
		if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
			os.Stderr = null
		}
		log.SetOutput(io.Discard)
	}
	return func() {
		silence.Lock()
		defer silence.Unlock()
		if silent--; silent == 0 {
			if os.Stderr != spoken {
				os.Stderr.Close()
			}
			os.Stderr = spoken
			log.SetOutput(os.Stderr)
		}
	}
}
