import { sleep } from "../shared/clock.js";
import { backoffMs } from "./backoff.js";
import type { Answer, Call, HttpOptions, StreamCall } from "./call.js";
import { createCircuit, isDown } from "./circuit.js";
import { ApiError, isPassing, type Outage } from "./errors.js";
import { createExchange } from "./exchange.js";
import { stopped } from "./explain/attempt.js";
import { heldBack, withOutage } from "./explain/outage.js";
import { createLocator } from "./locator.js";

/** A server that asks for a longer wait than this is reported, not waited for. */
const RETRY_AFTER_CAP_MS = 30_000;

/** All requests to the API. Both methods throw {@link ApiError} and nothing else. */
export interface Http {
  /** Where the API is, as far as it is known. */
  address(): string;
  /** Since when the API has not answered, while it is down. */
  outage(): Outage | undefined;
  /** Sends a request and reads its answer as JSON, with a time limit and, for reads, retries. */
  send(call: Call): Promise<Answer>;
  /** Opens a stream of server-sent events and hands out its text as it comes; resolves when the stream ends. */
  stream(call: StreamCall, onText: (text: string) => void): Promise<void>;
}

/** What stands around single requests: the key, the look for the API, the circuit, the retries. */
export function createHttp(options: HttpOptions): Http {
  const { clock, random } = options;
  const locator = createLocator(options);
  const exchange = createExchange(options, locator.current);
  const circuit = createCircuit(clock, random);

  function requireKey(call: StreamCall): void {
    if (options.apiKey || options.locate) return;
    throw new ApiError(
      "no_key",
      `Could not ${call.doing}: no API key is set. Nothing was sent. ` +
        "Set AUTOMAGIK_WORKFLOWS_API_KEY and start the server again.",
    );
  }

  /** One request; a second one when nothing has listened at an address that another look may correct. */
  async function once(call: Call): Promise<Answer> {
    await locator.find(call);
    try {
      return await exchange.once(call);
    } catch (error) {
      if (!locator.hasMoved(error)) throw error;
      locator.refuseRestart(call);
      await locator.find(call);
      return exchange.once(call);
    }
  }

  /** One try: not made while the API is known to be down, and counted by the circuit. */
  async function attempt(call: Call): Promise<Answer> {
    locator.refuseRestart(call);
    const before = circuit.outage();
    if (before && call.poller && !circuit.admits()) {
      throw heldBack(call, locator.current().baseUrl, before, clock.now());
    }
    try {
      const answer = await circuit.observe(() => once(call));
      if (!call.needsNoKey) options.onKey?.(true);
      return answer;
    } catch (error) {
      const outage = circuit.outage();
      const failure = error as ApiError;
      if (failure.kind === "unauthorised") options.onKey?.(false);
      throw outage && isDown(failure) ? withOutage(failure, outage, clock.now()) : failure;
    }
  }

  return {
    address: () => locator.current().baseUrl,
    outage: circuit.outage,

    async send(call) {
      requireKey(call);
      // While it is down, others have tried often enough.
      const retries = circuit.outage() ? 0 : (call.retries ?? 0);
      for (let tries = 1; ; tries++) {
        try {
          return await attempt(call);
        } catch (error) {
          const failure = error as ApiError;
          if (call.acts || tries > retries || !isPassing(failure)) throw failure;
          const asked = failure.retryAfterMs ?? 0;
          if (asked > RETRY_AFTER_CAP_MS) throw failure;
          const waited = await sleep(clock, Math.max(asked, backoffMs(tries, random)), call.signal);
          if (!waited) throw stopped(call);
        }
      }
    },

    async stream(call, onText) {
      requireKey(call);
      locator.refuseRestart(call);
      await locator.find(call);
      try {
        await exchange.stream(call, onText);
      } catch (error) {
        locator.hasMoved(error);
        throw error;
      }
    },
  };
}
