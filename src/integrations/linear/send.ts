import type { Clock } from "../../shared/clock.js";
import { BODY_LIMITS } from "../../shared/http/body-limits.js";
import { createFindProxy, type ProxyEnvironment } from "../../shared/http/proxy.js";
import { NotNow } from "../delivery-error.js";
import { createVendorHttp } from "../vendor-http.js";
import type { SendToLinear } from "./client.js";

/** A request gets so long, in ms: a delivery makes up to three. */
const LIMIT_MS = 10_000;
/** Linear says in the body what was wrong, under any of these; it decides and not the status. */
const READ_STATUSES = [400, 401, 403, 404, 413, 422, 429, 500];

/** What requests to Linear are sent with. */
export interface LinearConnection {
  url: string;
  key: {
    /** The personal key; undefined where none is set. May throw, in words without the key. */
    read(): Promise<string | undefined>;
    /** It was refused. */
    forget(): void;
  };
  clock: Clock;
  /** Names the proxies. */
  env: ProxyEnvironment;
}

/** Sends each request once; what is to become of one that was lost is decided by whoever knows what it does. */
export function createSend({ url, key, clock, env }: LinearConnection): SendToLinear {
  const http = createVendorHttp({
    service: "Linear",
    clock,
    findProxy: createFindProxy(env),
    limitMs: LIMIT_MS,
  });

  return async (body, { acts, signal = NEVER }) => {
    const secret = await readKey(key);
    const { status, headers, text } = await http({
      method: "POST",
      url,
      // As Linear wants it, a personal key comes without "Bearer".
      headers: { authorization: secret, "content-type": "application/json", accept: "application/json" },
      body,
      isRead: !acts,
      accept: READ_STATUSES,
      limitBytes: BODY_LIMITS.workflows,
      signal,
    });
    if (status === 401) key.forget();
    // Its words are shown, and somebody else's server might quote what it got.
    return { status, headers, text: text.replaceAll(secret, "<key>") };
  };
}

const NEVER = new AbortController().signal;

async function readKey(key: LinearConnection["key"]): Promise<string> {
  let found: string | undefined;
  try {
    found = await key.read();
  } catch (error) {
    throw new NotNow(`the key of Linear could not be had: ${(error as Error).message}`);
  }
  if (found === undefined) throw new NotNow("no key is set for Linear");
  return found;
}
