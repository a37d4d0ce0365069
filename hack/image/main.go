// Command image builds the project's images as docker-archive tars, without a container engine: a tar is made when its
// content changed, and its path is printed. hack/cluster load-image brings it into the test cluster.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/kubectl-kanister/kubectl-kanister/hack/image/recipe"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string, out, log io.Writer) error {
	if len(names) == 0 || names[0] == "-h" || names[0] == "--help" {
		fmt.Fprintln(log, "usage: image NAME...   builds images and prints the paths of their tars")
		for _, i := range recipe.All() {
			about := i.About
			if i.Extra {
				about += " (not among all)"
			}
			fmt.Fprintf(log, "  %-10s %s\n", i.Name, about)
		}
		fmt.Fprintln(log, "  all        what the demo and most tests need")
		return nil
	}
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	for _, i := range chosen {
		path, err := i.Build(ctx, log)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, path)
	}
	return nil
}

func choose(names []string) ([]recipe.Image, error) {
	var chosen []recipe.Image
	for _, name := range names {
		if name == "all" {
			for _, i := range recipe.All() {
				if !i.Extra {
					chosen = append(chosen, i)
				}
			}
			continue
		}
		at := slices.IndexFunc(recipe.All(), func(i recipe.Image) bool { return i.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("there is no image %q: run image --help for a list", name)
		}
		chosen = append(chosen, recipe.All()[at])
	}
	return chosen, nil
}
