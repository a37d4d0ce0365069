package kando

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
)

// stream backs up what an HTTP server sends, into the repository that kopia on this machine is connected to (COMPAT §5.1).
type stream struct {
	Streams

	password, config, dir, file string
}

func newCmdStream(streams Streams) *cobra.Command {
	s := &stream{Streams: streams}
	cmd := &cobra.Command{
		Use:   "stream",
		Short: "Back up what an HTTP server sends",
		Args:  known,
		RunE:  help,
	}
	cmd.PersistentFlags().StringVarP(&s.password, "password", "p", "", "password of the repository, or of its server's user (required)")
	cmd.PersistentFlags().StringVarP(&s.config, "config-file", "c", "", "kopia's configuration file of the repository (default ~/.config/kopia/repository.config)")

	push := &cobra.Command{
		Use:     "push ENDPOINT",
		Short:   "Make a kopia snapshot of what GET ENDPOINT answers, as the file --filePath in the directory --dirPath",
		Example: `kando stream push --password "$PASSWORD" --dirPath /mnt/data --filePath dumps/app.sql http://127.0.0.1:8000/dump`,
		Args:    exactly("ENDPOINT"),
		RunE:    func(cmd *cobra.Command, args []string) error { return s.push(cmd.Context(), args[0]) },
	}
	push.Flags().StringVarP(&s.dir, "dirPath", "d", "", "the directory that the snapshot is of (required)")
	push.Flags().StringVarP(&s.file, "filePath", "f", "", "path of the file in it (required)")
	cmd.AddCommand(push)

	return cmd
}

func (s *stream) push(ctx context.Context, endpoint string) error {
	for _, flag := range []struct{ name, value string }{{"password", s.password}, {"dirPath", s.dir}, {"filePath", s.file}} {
		if flag.value == "" {
			return usageError{fmt.Errorf("required flag(s) %q not set", flag.name)}
		}
	}

	if path.Clean("/"+s.file) == "/" {
		return usageError{fmt.Errorf("--filePath names no file: %q", s.file)}
	}

	config, err := s.configFile()
	if err != nil {
		return err
	}

	content, err := get(ctx, endpoint)
	if err != nil {
		return fmt.Errorf("reading %s: %w", endpoint, err)
	}
	defer content.Close() // read only

	repository, err := kopia.OpenConfigured(ctx, config, s.password)
	if err != nil {
		return err
	}

	_, err = repository.SnapshotStream(ctx, kopia.Backup{Source: kopia.Source{Path: path.Clean("/" + s.dir)}}, s.file, content)

	return errors.Join(err, repository.Close(ctx))
}

func (s *stream) configFile() (string, error) {
	if s.config != "" {
		return s.config, nil
	}

	if named := os.Getenv("KOPIA_CONFIG_PATH"); named != "" {
		return named, nil
	}

	home, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("finding kopia's configuration: %w; name it with --config-file", err)
	}

	return filepath.Join(home, "kopia", "repository.config"), nil
}

// get is the body of an answer that says success.
func get(ctx context.Context, endpoint string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return nil, err
	}

	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}

	if answer.StatusCode != http.StatusOK {
		_ = answer.Body.Close()

		return nil, fmt.Errorf("it answers %s", answer.Status)
	}

	return answer.Body, nil
}
