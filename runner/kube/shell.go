package kube

import (
	"io"
	"strings"
)

// shellName is argv[0] of the wrapper, by which its complaints are known from the command's.
const shellName = "sh"

// wrapper reads one line from stdin, takes it for the command, and becomes that command; what follows the line is the command's
// stdin. read of a POSIX shell takes no byte beyond the line. The secret is never in the wrapper's own arguments.
const wrapper = "kanister_nl='\n'; IFS= read -r kanister_line && eval \"set -- $kanister_line\" && unset kanister_nl kanister_line && exec \"$@\""

// throughShell gives a command without secrets that runs command, and the stdin to hand to it.
func throughShell(command []string, stdin io.Reader) ([]string, io.Reader) {
	line := shellLine(command) + "\n"

	if stdin == nil {
		// Without stdin a command has an empty one; it must not get the wrapper's, which may stay open.
		return []string{shellName, "-c", wrapper + " </dev/null"}, strings.NewReader(line)
	}

	return []string{shellName, "-c", wrapper}, io.MultiReader(strings.NewReader(line), stdin)
}

// shellLine quotes command for eval in one line: line breaks become a variable that the wrapper sets.
func shellLine(command []string) string {
	words := make([]string, 0, len(command))

	for _, word := range command {
		quoted := "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		words = append(words, strings.ReplaceAll(quoted, "\n", `'"$kanister_nl"'`))
	}

	return strings.Join(words, " ")
}

// noShell tells whether a container runtime complained that there is no sh.
func noShell(text string) bool {
	missing := strings.Contains(text, "executable file not found") || strings.Contains(text, "no such file or directory")

	return missing && strings.Contains(text, `"`+shellName+`"`)
}

func withoutShell(e *Error, where string) error {
	e.Reason = ReasonNoShell
	e.Message = "the command holds a secret and " + where + " has no shell to hand it to; it was not run"
	e.Hint = "take the secret from a file or a variable of the container instead of writing it into the command"

	return e
}
