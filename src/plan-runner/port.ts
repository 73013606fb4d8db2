import type { PlanCommand } from "../plans/machine/commands.js";
import type { PlanChange } from "../plans/machine/events.js";
import type { PlanState, StartOrder } from "../plans/machine/state.js";

type CommandOf<Type extends PlanCommand["type"]> = Extract<PlanCommand, { type: Type }>;

/** What a start is found again by after a crash, as plain data; written down before it is sent. */
export type StartNote = Readonly<Record<string, string | number | null>>;

/** Certainly not done, and worth another try soon: the API does not answer, has no room, or takes another key. */
export interface Postponed {
  kind: "not-now";
  reason: string;
  afterMs?: number;
  /** The API has answered and refuses it as things stand at its end; where that stays so, it is no use to try on. */
  isRefusal?: true;
}

/** How a start went. `started` apart, nobody has paid for anything unless it is `unknown`. */
export type StartOutcome =
  | {
      kind: "started";
      runId: string;
      sessionId?: string;
      sessionName?: string;
      branch?: string;
      ownWorkspace?: boolean;
    }
  /** It was certainly not started. `deterministic`: tried again it would not be either. */
  | { kind: "not-started"; reason: string; deterministic?: boolean }
  | Postponed
  /** Nothing was sent, because it was not wanted any more. */
  | { kind: "withdrawn" }
  | { kind: "unknown"; reason: string };

/** How a run has ended. */
export type RunEnd = Omit<Extract<PlanChange, { type: "run-ended" }>, "type" | "key">;

/** How a merge went. What has failed was taken back. */
export type MergeOutcome =
  | Postponed
  | { kind: "merged"; branch: string; commit: string }
  | { kind: "failed"; because: "conflict" | "check" | "error"; reason: string; files?: readonly string[] };

/** What has become of a pull request, as far as it was waited for. */
export type PullRequestOutcome = Omit<Extract<PlanChange, { type: "pull-request" }>, "type" | "branch"> & {
  kind: "asked";
};

/**
 * The world outside, as one plan needs it: the runner does nothing but call this and write down what came of it. Any
 * method may fail: it is called again then, or told, and never ends the plan.
 */
export interface PlanPort {
  /** What a start that is sent now, or soon, can be found again by; it is written down before. */
  noteOfStart(): StartNote;
  /**
   * Starts one run, once.
   * @param mayStart to be asked right before it is sent, and before it is sent again under the same key. At `false`, and
   * when it throws, nothing is sent
   * @param signal keeps a start that has not been sent from being sent; one that was is seen through
   */
  startRun(
    key: string,
    order: StartOrder,
    mayStart: () => Promise<boolean>,
    signal: AbortSignal,
  ): Promise<StartOutcome>;
  /**
   * Looks for the run of a start that may have been sent. It sends nothing without `maySend`, which is asked right before
   * it is sent once more where that cannot be a second run.
   * @param taken runs that are known to be of other starts
   */
  lookUp(
    key: string,
    order: StartOrder,
    how: { note: StartNote; taken: ReadonlySet<string>; maySend?: () => Promise<boolean> },
    signal: AbortSignal,
  ): Promise<StartOutcome>;
  /**
   * Waits for a run's end; undefined when the signal has ended the wait.
   * @param how.isContinuation it was to go on with a conversation, and may not have done so
   * @param how.onShared it works in another one's place, and not in a workspace of its own
   * @param how.onAsk the agent asks this; undefined when it does not ask (any more)
   * @param how.onAction what the run does at the moment, as a person reads it; undefined when nobody knows
   */
  waitForRun(
    runId: string,
    how: {
      isContinuation: boolean;
      onShared: () => void;
      onAsk: (text: string | undefined) => void;
      onAction: (text: string | undefined) => void;
    },
    signal: AbortSignal,
  ): Promise<RunEnd | undefined>;
  /**
   * The commit that the branch of a run's session stands at now; undefined where the API does not tell.
   * @throws ApiError
   */
  headOf(runId: string): Promise<string | undefined>;
  /** Shows a person what is to be decided; the decision comes as an event, some day. */
  openGate(command: CommandOf<"open-gate"> | CommandOf<"ask-agreement">, state: PlanState): Promise<void>;
  /**
   * Merges the branch of a run into a branch, or into a new one where `into.isNew`. Asked again after a crash it must find
   * what it has done before, and do nothing a second time.
   */
  merge(
    command: CommandOf<"merge">,
    how: { runId: string; into: { branch: string; isNew: boolean } },
    signal: AbortSignal,
  ): Promise<MergeOutcome>;
  /**
   * Has a pull request opened for a branch, or say what there is now. Asked again it opens no second one.
   * @returns undefined when the signal has ended it
   */
  openPullRequest(
    command: CommandOf<"pull-request">,
    text: { title: string; body: string; comment: string },
    signal: AbortSignal,
  ): Promise<PullRequestOutcome | Postponed | undefined>;
  /** Ends a run; that it has ended is seen by `waitForRun`. @param force it was asked before and goes on */
  kill(runId: string, force: boolean): Promise<void>;
  /**
   * Tells whoever looks at the plan that it has changed, or what is seen of it. Must not throw.
   * @param isReplaced whether another process has taken the plan over, which nobody has told this one; absent where that
   * cannot be
   */
  publish(state: PlanState, now: PlanNow, isReplaced?: IsReplaced): void;
}

/** @throws StoreError */
export type IsReplaced = () => Promise<boolean>;

/** Something outside that does not work at the moment, and is tried again. */
export interface Trouble {
  /** The command's id. */
  command: string;
  step?: string;
  /** Sentences for a person. */
  reason: string;
  /** Epoch ms. */
  since: number;
}

/** What is seen of a plan while it is carried out, besides its state. */
export interface PlanNow {
  readonly troubles: readonly Trouble[];
  /** What runs do at the moment, each on one line, by the keys of their attempts: `Turn 7/50: Writing tests`. */
  readonly actions: ReadonlyMap<string, string>;
}
