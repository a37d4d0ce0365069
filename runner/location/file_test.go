package location

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// TestPutBesideDelete: a Delete removes the directories that it leaves empty, also those in which a Put is about to begin.
func TestPutBesideDelete(t *testing.T) {
	store, err := openFile(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()

	var writers sync.WaitGroup

	for i := range 4 {
		writers.Go(func() {
			for range 300 {
				key := fmt.Sprintf("catalogue/demo/%d", i)
				if _, err := store.Put(t.Context(), key, strings.NewReader("x")); err != nil {
					t.Error(err)

					return
				}

				if err := store.Delete(t.Context(), key); err != nil {
					t.Error(err)

					return
				}
			}
		})
	}

	writers.Wait()
}
