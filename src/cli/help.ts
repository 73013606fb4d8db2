import { listSettingFlags } from "../settings/entries.js";

/** The text of `--help`. */
export function renderHelp(): string {
  return [
    "automagik-workflows-mcp: run remote coding workflows from a chat client",
    "",
    "  automagik-workflows-mcp           serve a chat client on stdin and stdout",
    "  automagik-workflows-mcp serve     serve chat clients over HTTP, on --port and --host, at /mcp; --sse adds the",
    "                                    earlier transport at /sse; --transport http means the same",
    "  automagik-workflows-mcp demo      show a run against a simulated API; --engine shows a real run of Claude",
    "                                    Code, which costs money, so it asks first (--yes: it does not)",
    "  automagik-workflows-mcp install <client>",
    "                                    set up claude-code, claude-desktop, cursor, vscode, goose or codex: shows",
    "                                    the change and asks. --yes: does not ask; --print: only shows; --project:",
    "                                    for this folder only; --name: the server's name; --with-key: writes the key;",
    "                                    --allow: with --engine local, agents may use the repository you stand in",
    "  automagik-workflows-mcp doctor    check everything that is needed and say what to do; --json",
    "  automagik-workflows-mcp allow [FOLDER]",
    "                                    allow agents of this machine's engine to work on copies of a repository, by",
    "                                    default the one you stand in; --list: which are allowed; --remove: no more",
    "  automagik-workflows-mcp engine    carry out runs on this machine, on --port and --host, until it is stopped.",
    "                                    --background: on any free port, until it is idle, as --engine local starts",
    "                                    it; all chat windows share it, with the settings of the one started last",
    "  automagik-workflows-mcp engine status",
    "                                    show whether an engine runs, where, with which settings, its runs, its log and",
    "                                    what it takes on the disk; --json",
    "  automagik-workflows-mcp engine cost",
    "                                    show what runs have cost by day and workflow; --days 30 (default 7); --json",
    "  automagik-workflows-mcp engine stop",
    "                                    stop the engine and its runs, after asking; --force: without asking",
    "  automagik-workflows-mcp sessions  show all sessions in one line each, those that wait for you first; --json.",
    "                                    Starts no engine",
    "  automagik-workflows-mcp sessions show NAME",
    "                                    show what the agent did, by a session's name or a run's id; --follow: on",
    "                                    until the run has ended",
    "  automagik-workflows-mcp sessions resume NAME [MESSAGE]",
    "                                    go on with a session, after asking: this starts one paid run; --yes",
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
