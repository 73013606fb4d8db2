import type { Clock } from "../../shared/clock.js";
import { createTransport } from "../../shared/http/fetch.js";
import type { FindProxy } from "../../shared/http/proxy.js";
import type { Log } from "../../shared/log.js";
import { type AnswerReceiver, readButton } from "../ask-message.js";
import { NotNow, Refused } from "../delivery-error.js";

/** ntfy says each 45 s that it is there: a stream that says nothing for so long is gone, in ms. */
const SILENT_MS = 120_000;
/** A line has no more, in characters: a message is at most 4,096 bytes. */
const LINE_CHARS = 64 * 1024;
/** What was answered before this process was there is told by the server for 12 hours. */
const MARGIN_S = 5;

/**
 * Follows a topic of ntfy for answers, which also come from the time since the oldest open question.
 * @param options.person who answers there: whoever can post to the topic counts as them
 * @returns when the stream has ended
 * @throws NotNow, and Refused where the server does not let it be read
 */
export async function followNtfy(
  options: {
    topic: string;
    token: string | undefined;
    person: string;
    findProxy: FindProxy;
    answers: AnswerReceiver;
    clock: Clock;
    log: Log;
  },
  signal: AbortSignal,
): Promise<void> {
  const { topic, token, answers, clock, log, findProxy } = options;
  const silent = new AbortController();
  let cancel = () => {};
  const alive = () => {
    cancel();
    cancel = clock.after(SILENT_MS, () => silent.abort());
  };
  alive();
  try {
    const since = await answers.openSince();
    const { status, body } = await createTransport(findProxy).listen(`${topic.replace(/\/+$/, "")}/json`, {
      method: "GET",
      headers: token ? { authorization: `Bearer ${token}` } : {},
      query: { since: since === undefined ? undefined : Math.floor(since / 1000) - MARGIN_S },
      signal: AbortSignal.any([signal, silent.signal]),
    });
    if (status === 401 || status === 403) throw new Refused(`the topic may not be read (HTTP ${status})`);
    if (status !== 200) throw new NotNow(`ntfy gives no stream (HTTP ${status})`);
    log.debug("Answers are taken from ntfy.");
    for await (const line of linesOf(body)) {
      alive();
      await takeLine(line, options);
    }
  } catch (error) {
    if (error instanceof Refused || error instanceof NotNow) throw error;
    throw new NotNow("the stream has ended");
  } finally {
    cancel();
    silent.abort();
  }
}

async function takeLine(
  line: string,
  { person, answers, log }: Parameters<typeof followNtfy>[0],
): Promise<void> {
  const meant = readButton(messageOf(line));
  if (!meant) return;
  const said = await answers
    .take({ ...meant, user: { id: person, name: person } })
    .catch((error: Error) => `It could not be taken: ${error.message}`);
  log.debug(`An answer came by ntfy: ${said}`);
}

function messageOf(line: string): string | undefined {
  try {
    const { event, message } = JSON.parse(line) as { event?: unknown; message?: unknown };
    return event === "message" && typeof message === "string" ? message.trim() : undefined;
  } catch {
    return undefined;
  }
}

async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LINE_CHARS) throw new NotNow("ntfy sends lines that are too long");
    yield* lines;
  }
}
