import { randomBytes } from "node:crypto";
import type { Clock } from "../../shared/clock.js";
import type { Held } from "./held-call.js";

/** What the answer to a form belongs to. */
export interface FormState {
  held: Held;
  /** The form's key, the tool that was called, and its arguments' digest. */
  key: string;
  tool: string;
  digest: string;
}

/** The states by which clients name the form that they answer: unguessable, and good for one form of one call. */
export interface FormStates {
  /** The state of the call's open form: the same for the same form, however often it is told. */
  tell(held: Held, tool: string, digest: string): string;
  /** Also of a form that is over, for a while: a request that comes again gets the same answer. */
  find(state: string): FormState | undefined;
}

/** A call whose form was answered, or is over, is remembered so long for a request that comes late, in ms. */
const REMEMBERED_MS = 10 * 60_000;
/** Of one caller; with more the oldest form is given up. */
const MOST_STATES = 200;

export function createFormStates(options: { clock: Clock; elicitationTimeoutMs: number }): FormStates {
  const { clock } = options;
  const states = new Map<string, FormState & { at: number }>();

  function forget(state: string, { held }: FormState): void {
    states.delete(state);
    // Nobody can answer it any more.
    if (held.state === state && held.form && !held.isTask) held.abort();
  }

  return {
    tell(held, tool, digest) {
      if (held.state !== undefined) return held.state;
      const now = clock.elapsed();
      const keptMs = options.elicitationTimeoutMs + REMEMBERED_MS;
      for (const [old, known] of states) {
        if (now - known.at <= keptMs) break;
        forget(old, known);
      }
      const own = [...states].filter(([, known]) => known.held.caller === held.caller);
      const [oldest] = own;
      if (oldest && own.length >= MOST_STATES) forget(...oldest);
      const state = randomBytes(32).toString("base64url");
      held.state = state;
      states.set(state, { held, key: held.form?.key ?? "", tool, digest, at: now });
      return state;
    },
    find: (state) => states.get(state),
  };
}
