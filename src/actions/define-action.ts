import type { ApiCapabilities } from "../api/capabilities.js";
import type { WorkflowsApi } from "../api/client.js";
import type { Endpoint } from "../api/endpoints.js";
import type { Elsewhere } from "../integrations/elsewhere.js";
import type { OutboxReader } from "../integrations/outbox-reader.js";
import type { PlansAccess } from "../plan-runner/plans-access.js";
import type { Templates } from "../plan-templates/templates.js";
import type { ClaimedQuestions } from "../runs/claimed-questions.js";
import type { RunNotices } from "../runs/run-notices.js";
import type { RunWatcher } from "../runs/run-watcher.js";
import type { Runs } from "../runs/runs.js";
import type { SlotTracker } from "../runs/slot-tracker.js";
import type { StartLimiter } from "../runs/start-limiter.js";
import type { Sessions } from "../sessions/sessions.js";
import type { Settings } from "../settings/settings.js";
import type { Clock } from "../shared/clock.js";
import type { Git } from "../shared/git/git.js";
import type { OutsideService, Whose } from "../shared/whose.js";
import type { Catalogue } from "../workflows/catalogue.js";
import type { FindRouter } from "../workflows/routing.js";
import type { Answer, AnswerPart } from "./answer.js";
import type { Arguments, ParameterName } from "./arguments.js";
import type { FigureChoices } from "./figure-choice.js";
import type { FormClient } from "./forms/form-client.js";
import type { ClaimedDecisions } from "./plans/claimed-decisions.js";

/** Everything an action may use; the composition root puts it together. */
export interface Services {
  settings: Settings;
  api: WorkflowsApi;
  catalogue: Catalogue;
  /** Says which workflows a task is for. */
  findRouter: FindRouter;
  capabilities: ApiCapabilities;
  watcher: RunWatcher;
  runs: Runs;
  startLimiter: StartLimiter;
  slotTracker: SlotTracker;
  sessions: Sessions;
  git: Git;
  clock: Clock;
  claimedQuestions: ClaimedQuestions;
  claimedDecisions: ClaimedDecisions;
  notices: RunNotices;
  /** Which figures the person wanted to see last. */
  figureChoices: FigureChoices;
  /** Several runs as one piece of work. */
  plans: PlansAccess;
  /** What plans can be begun from. */
  templates: Templates;
  /** GitHub and other services where issues and repositories are; loaded with the first question. */
  elsewhere: Elsewhere;
  /** What was told elsewhere; undefined where those who call may not see all of it. */
  outbox: OutboxReader | undefined;
  /** Client and server share a machine, so the client's folders may be looked at. */
  sharesMachine: boolean;
  /** Where the server itself stands for the client, first the likelier one: for clients that name no folders. */
  ownFolders: readonly string[];
  /** The person's home folder, where it is known: for `~`. */
  home?: string | undefined;
  /** What is to be told with a start: settings that hold in place of this server's. Undefined for nothing new. */
  tellOtherSettings(): Promise<string | undefined>;
}

/** What a call stays with until it has come to an end. */
export interface Followed {
  kind: "run" | "plan";
  id: string;
  /** Its own name, where that is not found by its id. */
  name?: string;
}

/** What an action knows of the call it serves. */
export interface Call {
  forms: FormClient;
  /** Ends when the client cancels, goes away, or the server stops. The run is not affected. */
  signal: AbortSignal;
  /** What the person has agreed to beforehand, word for word (`wordsToAgree`): where they start the call themselves. */
  agreed?: readonly string[];
  /** The person has begun it themselves, as a command in a terminal. */
  inTerminal?: true;
  /** The same, by a click in the dashboard. */
  inDashboard?: true;
  /** The person has answered a message of another service, which has shown all of it. */
  outside?: OutsideService;
  /** Who calls, by the name of their token, or as that service names them; missing where the server does not know. */
  person?: string | undefined;
  /** True when the server is stopping: then calls answer at once. */
  isStopping(): boolean;
  /** Whether the client asked for progress. */
  wantsProgress: boolean;
  progress(update: { progress?: number; total?: number; message: string }): void;
  /** The client's own name, for its known limits. */
  clientName: string | undefined;
  /**
   * Told once it is known what the call stays with: whatever it is that comes of it can be found by that from now on,
   * so that the answer may be given another way.
   */
  follows(what: Followed): void;
  /** The client's folders on this machine; empty when they cannot be had. */
  localFolders(signal: AbortSignal): Promise<string[]>;
}

/** Whose word it is that a call brings. */
export function whoseCall({
  outside,
  inTerminal,
  inDashboard,
  person,
}: Pick<Call, "inTerminal" | "inDashboard" | "outside" | "person">): Whose {
  const via = outside ?? (inTerminal ? "terminal" : inDashboard ? "dashboard" : "chat");
  return { via, ...(person === undefined ? {} : { by: person }) };
}

/** What a client may assume about a tool; all four are always said, since the defaults are the worst case. */
export interface Annotations {
  readOnlyHint: boolean;
  destructiveHint: boolean;
  idempotentHint: boolean;
  openWorldHint: boolean;
}

/** One action: data and a handler. A registry makes one tool of all of them, or one tool of each. */
export interface Action<Names extends ParameterName = ParameterName> {
  /** Its name in the one tool. */
  name: string;
  /** Its name as a tool of its own, at most 24 characters. */
  toolName: string;
  title: string;
  /** One line for the one tool's description. */
  summary: string;
  /** The description as a tool of its own. */
  description: string;
  /** Words by which a client may search for it as a tool of its own, beside those of its name. */
  searchHint: string;
  parameters: readonly Names[];
  /** Those of the parameters that are taken and not published: another one, or the description, says the same. */
  unpublished?: readonly Names[];
  /** Those of the parameters without which the call is refused. */
  required?: readonly Names[];
  /** Descriptions of parameters in the action's own tool, where the shared description does not fit. */
  about?: Readonly<Partial<Record<Names, string>>>;
  /** Other names under which parameters are taken and not published. */
  aliases?: Readonly<Record<string, Names>>;
  /**
   * Converts arguments in a form that is accepted but not published into the parameters.
   * @throws ActionError when that is not possible
   */
  adapt?(given: Readonly<Record<string, unknown>>): Record<string, unknown>;
  /** Arguments that belong to another action, with its name: a call with one of them is refused. */
  misplaced?: Readonly<Record<string, string>>;
  /** The API's endpoint without which it can do nothing: where there is none, it is not published. */
  endpoint?: Endpoint;
  /** What to do where the API has no such endpoint, as a sentence. */
  instead?: string;
  annotations: Annotations;
  answerParts: readonly AnswerPart[];
  /** @throws ActionError or ApiError, which become tool errors */
  handle(args: Arguments<Names>, call: Call, services: Services): Promise<Answer>;
}

/** Keeps the types of an action's parameters together. */
export function defineAction<Names extends ParameterName>(action: Action<Names>): Action {
  return action as unknown as Action;
}
