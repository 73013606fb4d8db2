import { cleanLine } from "../../shared/text.js";
import type { FailureCode } from "../runs/run.js";
import type { AboutKind } from "./agent-kind.js";
import type { AgentEvent, AgentExit } from "./events.js";

type Result = Extract<AgentEvent, { type: "result" }>;

interface Reason {
  code: FailureCode;
  /** The agent's own word for it: a result's `cause` or subtype. */
  cause?: RegExp;
  /** In what the agent says, where it has no word for it. */
  words?: RegExp;
  /** What has happened, and a next step that can work; for the person. */
  text: string | ((kind: Who) => string);
}

/** The kind of agent, as far as it is spoken of. */
type Who = Pick<AboutKind, "title" | "login">;

/** The first that fits counts. */
const REASONS: readonly Reason[] = [
  {
    code: "context_full",
    cause: /^prompt_too_long$/,
    words: /^prompt is too long/i,
    text:
      "The conversation is full: it does not fit into the model's context any more, so continuing it cannot work. " +
      "Start a new session on the same branch and say what is left to do; what was committed is there.",
  },
  {
    code: "transcript_gone",
    words: /no conversation found/i,
    text: ({ title }) =>
      `The conversation is gone from this machine (${title} removes old ones), so it cannot be continued. ` +
      "Start a new session on the same branch and say what is left to do.",
  },
  {
    code: "no_credit",
    cause: /^billing_error$/,
    words: /credit balance|insufficient credit|billing/i,
    text: "The account has no credit left for the model. Add some, then continue the session.",
  },
  {
    code: "not_logged_in",
    cause: /^(authentication_failed|oauth_org_not_allowed)$/,
    words: /invalid api key|failed to authenticate|please run \/login|not logged in|oauth token/i,
    text: ({ title, login }) =>
      `${title} is not logged in, or its key is not accepted. ${login}; then continue the session.`,
  },
  {
    code: "usage_limit",
    cause: /^rate_limit$/,
    words: /usage limit|rate limit|limit reached|you've hit your/i,
    text: "The account's usage limit is reached. Continue the session when the limit is reset.",
  },
  {
    code: "overloaded",
    cause: /^(server_error|overloaded)$/,
    words: /\boverloaded\b|API Error: (5\d\d|Connection|Request timed out)/i,
    text: "The model's API is overloaded or cannot be reached. Continue the session in a few minutes.",
  },
  {
    code: "model_missing",
    cause: /^model_not_found$/,
    words: /issue with the selected model/i,
    text: ({ title }) =>
      "The model is not there, or not for this account. Continue the session with another `model`, or correct it in the " +
      `workflow.json or in the settings of ${title}.`,
  },
  {
    code: "cost_limit",
    cause: /^error_max_budget_usd$/,
    words: /maximum budget/i,
    text: "The cost limit of a run was reached before the agent had finished. Continue the session to go on.",
  },
  {
    code: "turn_limit",
    cause: /^max_turn_requests$/,
    text: "The agent's own limit of requests was reached before it had finished. Continue the session to go on.",
  },
  {
    code: "model_refused",
    cause: /^refusal$/,
    text:
      "The model has refused to go on with this, so the work is not done. Put the task in other words, or leave out what " +
      "it refuses, and continue the session.",
  },
];

/** What is quoted of the agent's own words. */
const QUOTED_CHARACTERS = 500;

/** Why a run has failed that the agent has not finished, for the person. */
export function describeFailedEnd(
  result: Result | undefined,
  exit: AgentExit,
  kind: Who = { title: "The agent", login: "Log in with it in a terminal" },
): { error: string; code?: FailureCode } {
  const said = result?.errors?.join("; ") || result?.text || exit.stderr;
  const quoted = cleanLine(said, QUOTED_CHARACTERS);
  const reason =
    REASONS.find(({ cause }) => cause?.test(result?.cause ?? result?.subtype ?? "")) ??
    REASONS.find(({ words }) => words?.test(said));
  if (reason) {
    const text = typeof reason.text === "string" ? reason.text : reason.text(kind);
    return { error: `${text}${quoted ? ` ${kind.title} says: ${quoted}` : ""}`, code: reason.code };
  }
  const how =
    result === undefined
      ? `The agent ended without a result (${exit.signal ?? `exit code ${exit.code}`})`
      : result.subtype === "success" || result.subtype === "unknown"
        ? "The agent's last request to the model failed"
        : `The agent ended with ${result.subtype}`;
  return { error: quoted ? `${how}: ${quoted}` : how };
}
