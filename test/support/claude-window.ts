import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished, vi } from "vitest";

/** The real Claude Code in a terminal of its own, as a person sees it and types into it. */
export interface ClaudeWindow {
  /** What stands on the screen now. */
  screen(): string;
  /** Presses a key by tmux's name: "Enter", "Escape", "Down", "x". */
  press(key: string): void;
  /** Says something to the model. */
  say(text: string): Promise<void>;
  /** Presses a button of the form that is shown, and waits until the form is gone, or the one that has the text `next` is there. */
  choose(button: "Accept" | "Decline", next?: string): Promise<void>;
  /** Waits until it stands on the screen; gives the screen. */
  shows(what: RegExp | string): Promise<string>;
  /** Waits until it no longer stands there. */
  hides(what: RegExp | string): Promise<void>;
  /** Closes what is open with Esc, one after the other, until that is shown. */
  leave(until: string): Promise<void>;
  /** Resolves when the program has ended. */
  closed(): Promise<void>;
}

/** What agents, servers and a client take on a busy machine. */
export const PATIENCE = { timeout: 30_000, interval: 50 };
/** How long is waited before a key is pressed again. */
const AGAIN = { timeout: 2_000, interval: 50 };
const FORM = "requests your input";

export const hasTmux = spawnSync("tmux", ["-V"]).status === 0;

/** Fills a home so that Claude Code greets nobody, and begins with its prompt there. */
export function settleClaude(home: string, apiKey: string): void {
  const settled = {
    hasCompletedOnboarding: true,
    theme: "dark",
    customApiKeyResponses: { approved: [apiKey.slice(-20)], rejected: [] },
    projects: { [home]: { hasTrustDialogAccepted: true, hasCompletedProjectOnboarding: true } },
  };
  writeFileSync(join(home, ".claude.json"), JSON.stringify(settled));
}

let opened = 0;

/** Starts a program in a terminal of 130 by 50; it is ended with the test. */
export async function openWindow(how: {
  program: string;
  args: string[];
  env: Record<string, string>;
  folder: string;
}): Promise<ClaudeWindow> {
  const socket = join(how.folder, `.tmux-${++opened}`);
  const tmux = (...args: string[]) =>
    execFileSync("tmux", ["-S", socket, "-f", "/dev/null", ...args], { encoding: "utf8", env: how.env });
  tmux(
    ...["start-server", ";", "set-option", "-g", "remain-on-exit", "on", ";"],
    ...["new-session", "-d", "-x", "130", "-y", "50", "-c", how.folder, "--", how.program, ...how.args],
  );
  const ask = (format: string) => tmux("display-message", "-p", format).trim();
  const pid = Number(ask("#{pane_pid}"));
  onTestFinished(() => {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It was closed.
    }
    tmux("kill-server");
  });
  const screen = () => tmux("capture-pane", "-p").trimEnd();
  const stands = (what: RegExp | string) => {
    const shown = screen();
    return typeof what === "string" ? shown.includes(what) : what.test(shown);
  };
  const waitFor = (is: () => boolean, otherwise: string) =>
    vi.waitFor(() => {
      const shown = screen();
      if (!is()) throw new Error(`${otherwise}:\n${shown}`);
      return shown;
    }, PATIENCE);
  const shows = (what: RegExp | string) => waitFor(() => stands(what), `${what} is not shown`);
  const hides = async (what: RegExp | string) =>
    void (await waitFor(() => !stands(what), `${what} is still shown`));
  /** The line of the form at which it stands. */
  const cursor = () => {
    const [, form = ""] = screen().split(FORM);
    return form.split("\n").find((line) => line.includes("❯")) ?? "";
  };
  const press = (key: string) => void tmux("send-keys", key);
  return {
    screen,
    press,
    shows,
    hides,
    async say(text) {
      tmux("send-keys", "-l", text);
      await shows(text);
      press("Enter");
    },
    async choose(button, next) {
      await shows(FORM);
      for (let at = cursor(); !at.includes("❯ Accept") && !at.includes("❯ Decline"); at = cursor()) {
        press("Down");
        await waitFor(() => cursor() !== at, "The form's cursor does not move");
      }
      if (!stands(`❯ ${button}`)) press(button === "Accept" ? "Left" : "Right");
      await shows(`❯ ${button}`);
      // What is pressed in the first moment of a form is passed over by some versions; a person presses again.
      const isOpen = () => stands(FORM) && !(next && stands(next));
      await vi.waitFor(async () => {
        if (isOpen()) press("Enter");
        await vi.waitFor(() => {
          if (isOpen()) throw new Error(`${FORM} is still shown:\n${screen()}`);
        }, AGAIN);
      }, PATIENCE);
    },
    async leave(until) {
      await vi.waitFor(async () => {
        if (!stands(until)) press("Escape");
        await vi.waitFor(() => {
          if (!stands(until)) throw new Error(`${until} is not shown:\n${screen()}`);
        }, AGAIN);
      }, PATIENCE);
    },
    closed: async () => void (await waitFor(() => ask("#{pane_dead}") === "1", "It has not ended")),
  };
}
