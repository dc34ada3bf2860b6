package tests

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/hookyard/hookyard/tests/harness"
	"github.com/hookyard/hookyard/tests/peers"
)

var screenshots = flag.Bool("screenshots", false, "write the pictures of docs/images")

// dialog is the one that is open: the Web UI has all of them in its pages.
const dialog = chromedp.CSS("dialog[open]")

// parkedView is what docs/parking.md links to. A run that is terminated, or
// reset, keeps the Search Attributes that it had.
const parkedView = `HookState="parked" AND ExecutionStatus="Running"`

// TestRepairInBrowser repairs one run with a Signal and one with a Reset, with
// nothing but the Web UI that comes with Temporal.
func TestRepairInBrowser(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	s := startSystem(t, startTemporal(t, ""), mailedSource)
	for _, id := range []string{"evt_1", "evt_2"} {
		s.accept("stripe", "stripe", id, "", invoicePaid)
		s.parked("stripe:" + id)
	}
	list := "http://" + s.temporal.UI + "/namespaces/default/workflows?query=" + url.QueryEscape(parkedView)

	b.open(list)
	b.see("td", "stripe:evt_2")
	b.see("td", "stripe:evt_1")
	b.picture("parked-list", chromedp.CaptureScreenshot())
	b.click("td a", "stripe:evt_1")
	b.see("[data-testid=workflow-id-heading]", "stripe:evt_1")
	b.see("[data-testid=execution-status]", "Running")
	b.click("#user-metadata-tab", "User Metadata")
	b.read("Parked at SendReceipt: exhausted")
	b.read("connection refused")
	b.picture("parked-run", chromedp.CaptureScreenshot())

	taken := peers.NewMailServerAt(t, s.smtp, nil)
	b.click("button", "More Actions")
	b.click("[data-testid=signal-button]", "Send a Signal")
	b.click("dialog[open] [data-testid=signal-select-button]", "")
	b.see("dialog[open] [role=option]", "resolve")
	b.see("dialog[open] [role=option]", "discard")
	b.see("dialog[open] [role=option]", "resume\nTry the parked step again")
	b.picture("signal-resume", chromedp.Screenshot(dialog))
	b.click("dialog[open] [role=option]", "resume")
	b.click("dialog[open] [data-testid=confirm-modal-button]", "Submit")
	b.see("[data-testid=execution-status]", "Completed")
	require.NoError(t, b.do(chromedp.KeyEvent("r")), "for freshness, as the page says")
	b.read("resume by somebody who gave no name")
	require.Len(t, taken.Mails(), 1)

	b.open(list)
	b.click("td a", "stripe:evt_2")
	b.see("[data-testid=workflow-id-heading]", "stripe:evt_2")
	b.click("button", "More Actions")
	b.click("[data-testid=reset-button]", "Reset")
	b.click("dialog[open] [data-testid=workflow-reset-event-id-select-button]", "")
	b.picture("reset", chromedp.Screenshot(dialog))
	b.click("dialog[open] [role=option]", fmt.Sprintf("%d - ", s.beforeStep("stripe:evt_2", "SendReceipt")))
	b.click("dialog[open] [data-testid=confirm-modal-button]", "Confirm")
	b.click("[data-testid=workflow-reset-alert] a", "here")
	b.see("[data-testid=execution-status]", "Completed")
	b.see("[data-testid=workflow-id-heading]", "stripe:evt_2")

	s.completed("stripe:evt_2")
	require.Len(t, taken.Mails(), 2)
	require.Empty(t, cmp.Diff([]string{"evt_1", "evt_2"}, s.payments()))
	harness.Eventually(t, "the parked view is empty", func() bool { return s.count(parkedView) == 0 })
	require.Equal(t, "duplicate", s.deliver("stripe", "evt_2", "", invoicePaid).status)
}

// TestEncryptedRunInBrowser reads an encrypted run in the Web UI, which asks the
// codec server, from the browser.
func TestEncryptedRunInBrowser(t *testing.T) {
	t.Parallel()
	b, address := startBrowser(t), harness.TestAddress(t)
	s := startSystem(t, harness.StartTemporal(t, harness.DevServer{
		Program: programs.DevServer, UI: true, Args: []string{"--ui-codec-endpoint", "http://" + address},
	}), mailedSource+encryption)
	s.accept("stripe", "stripe", "evt_1", "", invoicePaid)
	s.parked("stripe:evt_1")
	require.NotContains(t, readable(s.histories([]string{"stripe:evt_1"})["stripe:evt_1"][0]), "ada@example.com", "Temporal does not have it")

	harness.Run(t, s.vars(), programs.Hookyard, "codec", "--config", s.config(), "--listen", address, "--origin", "http://"+s.temporal.UI)
	harness.Eventually(t, "the codec server listens", func() bool { return harness.Reachable(t.Context(), address) })
	b.open("http://" + s.temporal.UI + "/namespaces/default/workflows/stripe:evt_1")
	b.see("[data-testid=workflow-id-heading]", "stripe:evt_1")
	find[any](b, shown, "body", "ada@example.com")
	b.click("#user-metadata-tab", "User Metadata")
	b.read("Parked at SendReceipt: exhausted")
	b.read("connection refused")
}

// beforeStep returns the event to reset a run to so that the step runs again:
// the completion of the Workflow Task that first scheduled it.
func (s *system) beforeStep(workflowID, activityType string) (eventID int64) {
	history := s.client.GetWorkflowHistory(s.t.Context(), workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(s.t, err)
		scheduled := event.GetActivityTaskScheduledEventAttributes()
		if scheduled.GetActivityType().GetName() == activityType {
			return scheduled.GetWorkflowTaskCompletedEventId()
		}
	}
	require.Fail(s.t, "never scheduled: "+activityType)
	return 0
}

// browser is a headless Chromium with one page. Each of its steps waits for
// what it needs to come about.
type browser struct {
	t   *testing.T
	ctx context.Context
}

func startBrowser(t *testing.T) *browser {
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(findChromium(t)),
		chromedp.Env("HOME="+t.TempDir()),
		chromedp.NoSandbox, // CI runs as root
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		// No name resolves, so nothing outside of this machine is reached.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("no-proxy-server", true),
	)
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop) // waits, and removes the user data
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	t.Cleanup(func() {
		if t.Failed() {
			b.report()
		}
	})
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(1280, 800)))
	return b
}

// findChromium skips the test where there is no browser, except in CI.
func findChromium(t *testing.T) string {
	names := []string{"chromium", "chromium-browser", "google-chrome"}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		require.Fail(t, fmt.Sprintf("none of %q is in PATH; .ci/run installs one", names))
	}
	t.Skipf("none of %q is in PATH", names)
	return ""
}

func (b *browser) open(address string) {
	b.t.Helper()
	require.NoError(b.t, b.do(chromedp.Navigate(address)), address)
}

// see waits for an element that is visible and whose text starts with the
// given one, in upper or lower case.
func (b *browser) see(selector, text string) {
	b.t.Helper()
	find[any](b, visible, selector, text)
}

// click clicks such an element once it can be clicked and stands still.
func (b *browser) click(selector, text string) {
	b.t.Helper()
	type place struct{ X, Y float64 }
	var at, before place
	harness.Eventually(b.t, selector+" stands still", func() bool {
		at, before = find[place](b, clickable, selector, text), at
		return at == before
	})
	require.NoError(b.t, b.do(chromedp.MouseClickXY(at.X, at.Y)))
}

// read waits for a text in the current details: the Web UI renders their Markdown in
// a frame.
func (b *browser) read(text string) {
	b.t.Helper()
	find[any](b, framed, "#user-metadata-current-details", text)
}

// find waits until a function of the page returns something. It asks again
// and again from here: what waits inside a page is gone when that navigates.
func find[T any](b *browser, function, selector, text string) T {
	b.t.Helper()
	args, err := json.Marshal([]string{selector, text})
	require.NoError(b.t, err)
	call := chromedp.Evaluate[*T](fmt.Sprintf("(%s)(...%s)", function, args))
	var found *T
	harness.Eventually(b.t, fmt.Sprintf("%s with %q", selector, text), func() bool {
		ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
		defer cancel()
		found, err = chromedp.Run(ctx, call)
		return err == nil && found != nil
	})
	return *found
}

// do has a deadline, since a browser may answer nothing at all.
func (b *browser) do(action chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	return chromedp.Do(ctx, action)
}

// The functions look for what a person sees. The Web UI has its header twice,
// for wide and for narrow windows, and hides one of them with its menus.
const (
	visible = `(selector, text) => {
		const found = [...document.querySelectorAll(selector)].find(e =>
			e.checkVisibility({opacityProperty: true, visibilityProperty: true}) &&
			e.innerText.trim().toLowerCase().startsWith(text.toLowerCase()));
		found?.scrollIntoView({block: "nearest"});
		return found;
	}`

	// What is covered or disabled cannot be clicked.
	clickable = `(selector, text) => {
		const found = (` + visible + `)(selector, text);
		if (!found || found.disabled) return null;
		const box = found.getBoundingClientRect();
		const at = {X: box.x + box.width / 2, Y: box.y + box.height / 2};
		return found.contains(document.elementFromPoint(at.X, at.Y)) ? at : null;
	}`

	framed = `(frame, text) => {
		const body = document.querySelector(frame)?.contentDocument?.body;
		return body?.innerText.includes(text) ? true : null;
	}`

	shown = `(selector, text) => document.querySelector(selector)?.innerText.includes(text) ? true : null`

	// Menus and dialogs move into place. What moves for ever is an icon.
	still = `() => document.getAnimations().every(a =>
		a.playState !== "running" || a.effect.getComputedTiming().endTime === Infinity) ? true : null`
)

// picture writes a picture to docs/images, if that is asked for.
func (b *browser) picture(name string, take chromedp.Action[[]byte]) {
	if !*screenshots {
		return
	}
	find[any](b, still, "", "")
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	image, err := chromedp.Run(ctx, take)
	require.NoError(b.t, err)
	require.Less(b.t, len(image), 150<<10, name)
	require.NoError(b.t, os.WriteFile(filepath.Join("..", "docs", "images", name+".png"), image, 0o644))
}

// report logs what the page says, for whoever reads why the test failed.
func (b *browser) report() {
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	b.t.Logf("the page (%v):\n%s", err, text)
}
