import { readSettings, SettingsError } from "../../settings/settings.js";
import { keepAwake } from "../../shared/background/keep-awake.js";
import type { Invocation } from "../command-line.js";
import { createAsk, createAskLine } from "../install/ask.js";
import { type ActOptions, discardInTerminal, takeInTerminal } from "../sessions/act-command.js";
import { cleanInTerminal } from "../sessions/clean-command.js";
import { diffInTerminal } from "../sessions/diff-command.js";
import { listInTerminal } from "../sessions/list-command.js";
import { type OpenServices, openActing, openCleaning, openReading } from "../sessions/open-services.js";
import { resumeInTerminal } from "../sessions/resume-command.js";
import { showInTerminal } from "../sessions/show-command.js";
import { findWidth, onInterrupt, out, paint } from "./terminal.js";

/** `sessions`: one line for each. */
export async function sessions(asked: Invocation): Promise<number> {
  const open = await openReading(readSettings(process.env, asked.flags), asked);
  try {
    return await keepAwake(() =>
      listInTerminal(open, { json: asked.json === true, out, width: findWidth(), paint }),
    );
  } finally {
    await open.close();
  }
}

/** `sessions show`: what the agent of a session's newest run did, or of the run that is named. */
export async function showSession(asked: Invocation): Promise<number> {
  const [wanted = ""] = asked.operands ?? [];
  const open = await openReading(readSettings(process.env, asked.flags), asked);
  const signal = onInterrupt();
  try {
    return await keepAwake(() =>
      showInTerminal(open, wanted, { follow: asked.follow === true, signal, out }),
    );
  } finally {
    await open.close();
  }
}

/** `sessions resume`: goes on with a session, after asking. */
export async function resumeSession(asked: Invocation): Promise<number> {
  const [wanted = "", message] = asked.operands ?? [];
  const settings = readSettings(process.env, asked.flags);
  const reading = await openReading(settings, asked);
  const ask = createAsk(process.stdin, process.stderr);
  const yes = asked.yes === true;
  const options = {
    message,
    yes,
    ask,
    signal: onInterrupt(),
    openActing: () => openActing(settings, asked),
    out,
  };
  try {
    return await keepAwake(() => resumeInTerminal(reading, wanted, options));
  } finally {
    await reading.close();
  }
}

/** How long something was not used before it is suggested, unless told. */
const OLDER_THAN = "7d";
const UNITS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 };

/** `14d`, `12h`, `0d`, in ms. @throws SettingsError */
function readAge(text: string): number {
  const [, count, unit = ""] = /^(\d{1,5})([mhdw])$/.exec(text) ?? [];
  if (count === undefined)
    throw new SettingsError("--older-than: a number with m, h, d or w behind it, as in 14d");
  return Number(count) * (UNITS[unit] ?? 0);
}

/** `sessions clean`: removes what sessions have left on the disk, after asking. */
export async function cleanSessions(asked: Invocation): Promise<number> {
  const olderThanMs = readAge(asked["older-than"] ?? OLDER_THAN);
  const json = asked.json === true;
  const signal = onInterrupt();
  return keepAwake(async () => {
    const open = await openCleaning(readSettings(process.env, asked.flags), asked);
    if ("message" in open) {
      out(json ? `${JSON.stringify({ note: open.message, items: [] }, null, 2)}\n` : `${open.message}\n`);
      return open.code;
    }
    if (open.started && !json)
      out("The engine was not running. It was started for this, and ends with it.\n");
    try {
      return await cleanInTerminal({
        api: open.services.services.api,
        olderThanMs,
        yes: asked.yes === true,
        dryRun: asked["dry-run"] === true,
        json,
        ask: createAsk(process.stdin, process.stderr),
        askLine: createAskLine(process.stdin, process.stderr),
        signal,
        out,
        width: findWidth(),
        now: open.services.services.clock.now(),
      });
    } finally {
      await open.close();
    }
  });
}

/** `sessions diff`: what a session's commits change. */
export function diffSession(asked: Invocation): Promise<number> {
  // A pager that was left, or `head`, has read enough.
  process.stdout.on("error", () => process.exit(0));
  const stat = asked.stat === true;
  return onSession(asked, (reading, wanted, options) =>
    diffInTerminal(reading, wanted, { ...options, stat, paint }),
  );
}

/** `sessions take`: merges a session's commits, after asking. */
export function takeSession(asked: Invocation): Promise<number> {
  const { into, check, squash = false } = asked;
  return onSession(asked, (reading, wanted, options) =>
    takeInTerminal(reading, wanted, { into, check, squash }, options),
  );
}

/** `sessions discard`: throws a session's work away, after asking. */
export function discardSession(asked: Invocation): Promise<number> {
  return onSession(asked, discardInTerminal);
}

/** Does something on the session that is named. */
async function onSession(
  asked: Invocation,
  work: (reading: OpenServices, wanted: string, options: ActOptions) => Promise<number>,
): Promise<number> {
  const [wanted = ""] = asked.operands ?? [];
  const settings = readSettings(process.env, asked.flags);
  const reading = await openReading(settings, asked);
  const options: ActOptions = {
    yes: asked.yes === true,
    ask: createAsk(process.stdin, process.stderr),
    signal: onInterrupt(),
    openActing: () => openActing(settings, asked),
    out,
    note: (text) => process.stderr.write(text),
  };
  try {
    return await keepAwake(() => work(reading, wanted, options));
  } finally {
    await reading.close();
  }
}
