/**
 * Clients that cut a long call whatever progress they get, by the beginning of the name they give of themselves,
 * with the seconds a call may wait there. Each is below the client's own limit by what an answer needs to arrive.
 */
const CLIENT_LIMITS: readonly { client: string; seconds: number; source: string }[] = [
  // Claude Desktop ends a call after four minutes: anthropics/claude-code issues 44032, 64614, 65643.
  { client: "claude-ai", seconds: 225, source: "anthropics/claude-code#44032" },
  // Goose: 300 s by default, GOOSE_DEFAULT_EXTENSION_TIMEOUT: aaif-goose/goose pull request 8295.
  { client: "goose", seconds: 280, source: "aaif-goose/goose#8295" },
  // openclaw: 300 s: openclaw/openclaw pull request 62249.
  { client: "openclaw", seconds: 280, source: "openclaw/openclaw#62249" },
];

/** Without a progress token nothing resets a client's clock, and the SDK's default is 60 s. */
const SILENT_SECONDS = 45;

/**
 * How long a call may wait, in ms; undefined means to the end of the run. What the caller asks for counts, as far as
 * the client is known to bear it: beyond, the client would throw the answer away.
 * @param wantsProgress the call has a progress token
 * @param waitSeconds what the caller asks for
 */
export function resolveWaitMs(
  wantsProgress: boolean,
  clientName: string | undefined,
  waitSeconds?: number,
): number | undefined {
  const name = clientName?.toLowerCase() ?? "";
  const limit = CLIENT_LIMITS.find(({ client }) => name.startsWith(client));
  const asked = waitSeconds ?? (wantsProgress ? undefined : SILENT_SECONDS);
  if (asked === undefined) return limit && limit.seconds * 1000;
  return Math.min(asked, limit?.seconds ?? asked) * 1000;
}
