package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
)

// amendInEditor has the payload edited until the run takes it or the person
// gives up. What was typed is never lost: the file stays until it was taken.
func amendInEditor(ctx context.Context, env command.Env, o *operator, r eventrun.Run, current []byte) error {
	shown := layOut(current)
	file, err := writeTemp(shown)
	if err != nil {
		return err
	}
	kept := func(why error) error {
		return fmt.Errorf("%w; your text is kept in %s: send it with `%s amend %s --file %s`", why, file, command.Invocation(), r.ID, file)
	}
	for {
		if err := openEditor(ctx, env, file); err != nil {
			return kept(err)
		}
		edited, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if bytes.Equal(edited, shown) {
			_ = os.Remove(file) // it holds nothing new
			return errUnchanged
		}
		said, err := o.amendEdited(ctx, r, edited, current)
		if err == nil {
			_ = os.Remove(file) // the run has it
			_, err = fmt.Fprintf(env.Stdout, "%s: amended: %s\n", r.ID, said)
			return err
		}
		if _, ok := errors.AsType[rejected](err); !ok {
			return kept(err)
		}
		fmt.Fprintf(env.Stderr, "Not taken: %v\n", err)
		answer, askErr := ask(ctx, env, "Edit it again? [Y/n] ")
		if askErr != nil || answer != "" && answer != "y" && answer != "yes" {
			return kept(err)
		}
	}
}

// amendEdited sends what was edited.
func (o *operator) amendEdited(ctx context.Context, r eventrun.Run, edited, current []byte) (string, error) {
	corrected, err := takeBack(edited, current)
	if err != nil {
		return "", rejected{err}
	}
	if bytes.Equal(corrected, current) {
		return "", rejected{errUnchanged}
	}
	return o.amend(ctx, r, corrected)
}

// layOut is a payload as it is edited: JSON on one line is laid out over
// several, and anything else is left as it is.
func layOut(payload []byte) []byte {
	var pretty bytes.Buffer
	if bytes.ContainsRune(payload, '\n') || json.Indent(&pretty, payload, "", "  ") != nil {
		return payload
	}
	return append(pretty.Bytes(), '\n')
}

// takeBack turns what was edited into a payload again: on one line if it was
// on one line, and without the line break that editors add.
func takeBack(edited, current []byte) ([]byte, error) {
	if !bytes.HasSuffix(current, []byte("\n")) {
		edited = bytes.TrimSuffix(edited, []byte("\n"))
	}
	edited = withoutLineBreak(edited, current)
	if !json.Valid(current) {
		return edited, nil
	}
	// Not into an any: a number may be larger than a float64.
	if err := json.Unmarshal(edited, new(json.RawMessage)); err != nil {
		return nil, fmt.Errorf("it is no longer JSON: %w%s", err, lineOf(edited, err))
	}
	if bytes.ContainsRune(current, '\n') {
		return edited, nil
	}
	var compact bytes.Buffer
	err := json.Compact(&compact, edited)
	return compact.Bytes(), err
}

// lineOf says where a syntax error is.
func lineOf(text []byte, err error) string {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok || syntax.Offset > int64(len(text)) {
		return ""
	}
	return fmt.Sprintf(" (line %d)", 1+bytes.Count(text[:syntax.Offset], []byte("\n")))
}

func writeTemp(text []byte) (string, error) {
	f, err := os.CreateTemp("", "hookyard-amend-*.json")
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	return f.Name(), errors.Join(err, f.Close())
}

// openEditor runs the person's editor on the file and waits for its end.
func openEditor(ctx context.Context, env command.Env, file string) error {
	editor := "vi"
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if value, _ := env.LookupEnv(name); strings.TrimSpace(value) != "" {
			editor = value
			break
		}
	}
	words := strings.Fields(editor) // "code --wait"
	// Ctrl-C is the editor's while it is open: ending it would lose the text.
	cmd := exec.Command(words[0], append(words[1:], file)...) //nolint:gosec,noctx // the editor of the person who runs this; see above
	cmd.Stdin, cmd.Stdout, cmd.Stderr = env.Stdin, env.Stdout, env.Stderr
	cmd.Env = env.Environ()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("editor %q: %w; set $EDITOR, or use --file or --set", editor, err)
	}
	return ctx.Err()
}
