import { cleanLine } from "../../shared/text.js";
import { NotNow, Refused, Unknown } from "../delivery-error.js";

/** An HTTP answer of Linear's, as far as it matters. */
export interface LinearHttpAnswer {
  status: number;
  /** By names in lower case. */
  headers: ReadonlyMap<string, string>;
  text: string;
}

/** What was asked for is not there, or not for this key. */
export class NotThere extends Refused {}

/** One of the errors of a GraphQL answer. */
interface LinearFault {
  message?: unknown;
  extensions?: { code?: unknown; type?: unknown; userError?: unknown; userPresentableMessage?: unknown };
}

const REASON_CHARACTERS = 200;
/** Nothing has happened, by their types, and the same may go later. */
const LATER = ["ratelimited", "lock timeout", "network error"];
/** Without a word of Linear's when its limit ends, in ms. */
const LIMIT_MS = 60_000;

/**
 * What an answer of Linear's has brought. Linear says what went wrong in the body, under HTTP 200 as under any other status,
 * so the body decides: what it calls an error of the user's is never tried again.
 * @param options.acts whether the request changes something: then an error of the server's own leaves it open whether it has
 * @param options.now epoch ms
 * @throws Refused, NotNow, Unknown
 */
export function readAnswer<Data>(
  { status, headers, text }: LinearHttpAnswer,
  { acts, now }: { acts: boolean; now: number },
): Data {
  const answer = parse(text);
  const [fault] = answer?.errors ?? [];
  if (fault) throw toError(fault, headers, acts, now);
  if (status === 429) throw new NotNow("Linear has had too many requests", afterMs(headers, now));
  const isUnclear = status >= 500 || answer === undefined;
  const told = `Linear answered with HTTP status ${status}`;
  if (status >= 400 && status < 500) throw new Refused(told);
  if (isUnclear || !answer?.data)
    throw acts ? new Unknown(`${told} and no result`) : new NotNow(`${told} and no result`);
  return answer.data as Data;
}

function toError(
  { message, extensions = {} }: LinearFault,
  headers: LinearHttpAnswer["headers"],
  acts: boolean,
  now: number,
): Refused | NotNow | Unknown {
  const { code, type, userError, userPresentableMessage } = extensions;
  if (code === "RATELIMITED" || type === "ratelimited")
    return new NotNow("Linear has had too many requests", afterMs(headers, now));
  const said = [userPresentableMessage, message].find((one) => typeof one === "string" && one);
  const reason = `Linear says: ${cleanLine(String(said ?? code ?? "an error"), REASON_CHARACTERS)}`;
  if (typeof message === "string" && message.startsWith("Entity not found")) return new NotThere(reason);
  if (userError === true) return new Refused(reason);
  if (LATER.includes(String(type))) return new NotNow(reason);
  if (type === "internal error" || type === "unknown" || type === undefined)
    return acts ? new Unknown(reason) : new NotNow(reason);
  return new Refused(reason);
}

/** Linear tells the end of the limit that was reached in epoch ms. */
function afterMs(headers: LinearHttpAnswer["headers"], now: number): number {
  const retryAfterS = Number(headers.get("retry-after"));
  if (retryAfterS > 0) return retryAfterS * 1000;
  const limits = ["requests", "complexity", "endpoint-requests"];
  const ends = limits.flatMap((limit) => {
    const isReached = headers.get(`x-ratelimit-${limit}-remaining`) === "0";
    const until = Number(headers.get(`x-ratelimit-${limit}-reset`)) - now;
    return isReached && until > 0 ? [until] : [];
  });
  return ends.length > 0 ? Math.max(...ends) : LIMIT_MS;
}

function parse(text: string): { data?: unknown; errors?: LinearFault[] } | undefined {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === "object" && found !== null ? found : undefined;
  } catch {
    return undefined;
  }
}
