import { listSettingFlags } from "../settings/entries.js";

/** The text of `--help`. */
export function renderHelp(): string {
  return [
    "automagik-workflows-mcp: run remote coding workflows from a chat client",
    "",
    "  automagik-workflows-mcp           serve a chat client on stdin and stdout",
    "  automagik-workflows-mcp serve     serve chat clients over HTTP, on --port and --host, at /mcp;",
    "                                    with --sse also by the earlier transport, at /sse; the same",
    "                                    as --transport http",
    "  automagik-workflows-mcp demo      show the main job against a simulated API; with --engine by a real",
    "                                    run of Claude Code, which costs something and is asked for first,",
    "                                    with --yes not even that",
    "  automagik-workflows-mcp install <client>",
    "                                    set up claude-code, claude-desktop, cursor, vscode, goose or codex,",
    "                                    after showing the change and asking; --yes does not ask, --print only",
    "                                    shows, --project is for this folder only; --name, --with-key",
    "  automagik-workflows-mcp doctor    check everything that is needed, and say what to do; --json",
    "  automagik-workflows-mcp engine    carry out runs on this machine, on --port and --host,",
    "                                    until it is stopped; with --background as --engine local",
    "                                    starts it: any free port, and an end when it is idle; windows",
    "                                    share it with the settings of the first that started it",
    "  automagik-workflows-mcp engine status",
    "                                    show whether an engine runs, and where",
    "  automagik-workflows-mcp engine stop",
    "                                    end it and its runs; with --force without asking",
    "",
    "Every setting is an environment variable AUTOMAGIK_WORKFLOWS_… or a flag:",
    `  ${listSettingFlags()
      .map((flag) => `--${flag}`)
      .join(" ")}`,
    "",
    "The key belongs in AUTOMAGIK_WORKFLOWS_API_KEY: other users of a machine can read flags.",
    "",
  ].join("\n");
}
