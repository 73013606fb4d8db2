import type { IncomingHttpHeaders } from "node:http";
import type { Token } from "../../settings/tokens.js";
import { HttpRefusal } from "./refusal.js";
import { createTokenCheck, digestOf } from "./token-check.js";

/** Who sends a request. */
export interface Caller {
  /** The name of the token, or "local" where none is asked for. */
  name: string;
  /** The same, where there are tokens: without any nobody knows who it is. */
  person?: string;
  /** What tells this caller's sessions from those of others: the name, and a digest of the key of its own. */
  owner: string;
  /** The caller's own key of the workflows API. */
  apiKey?: string;
}

export interface CallerRules {
  /** Without any, everybody who reaches the server is served. */
  tokens: readonly Token[];
  /** Whether a caller may bring its own key of the workflows API. */
  takesKeys: boolean;
}

/** The header in which a caller's own key comes. */
export const KEY_HEADER = "x-workflows-api-key";
/** Keys are taken out of the log wherever they turn up; a short one would take ordinary words out of it. */
const MIN_KEY_LENGTH = 8;
const MAX_KEY_LENGTH = 512;

/**
 * Tells who sends a request.
 * @returns throws HttpRefusal 401 without a right token, and 400 for a key that cannot be used: a run on another key
 * than the caller means would be worse
 */
export function createCallerCheck(rules: CallerRules): (headers: IncomingHttpHeaders) => Caller {
  const findName = createTokenCheck(rules.tokens);
  return (headers) => {
    const name = rules.tokens.length > 0 ? findName(headers.authorization) : "local";
    if (name === undefined) {
      throw new HttpRefusal(401, "A valid token is needed", { headers: { "www-authenticate": "Bearer" } });
    }
    const who = { name, ...(rules.tokens.length > 0 ? { person: name } : {}) };
    const apiKey = headers[KEY_HEADER];
    if (apiKey === undefined) return { ...who, owner: name };
    if (!rules.takesKeys) throw new HttpRefusal(400, `This server does not accept ${KEY_HEADER}`);
    if (typeof apiKey !== "string" || apiKey.length > MAX_KEY_LENGTH || !/^[\x21-\x7e]+$/.test(apiKey)) {
      throw new HttpRefusal(400, `The header ${KEY_HEADER} holds no key`);
    }
    if (apiKey.length < MIN_KEY_LENGTH) {
      throw new HttpRefusal(400, `The header ${KEY_HEADER} holds less than ${MIN_KEY_LENGTH} characters`);
    }
    return { ...who, owner: `${name} ${digestOf(apiKey).toString("hex")}`, apiKey };
  };
}
