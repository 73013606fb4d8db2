import { createHash, randomUUID } from "node:crypto";
import { tellConversationEnd } from "../shared/conversation-end.js";
import {
  checkLocalRepository,
  checkRepositoryUrl,
  isLocalRepository,
} from "../shared/git/repository-address.js";
import { cleanLine } from "../shared/text.js";
import type { AboutKind } from "./agent/agent-kind.js";
import { USUAL_AGENT } from "./agent/agent-name.js";
import type { Agents, EngineOptions } from "./engine-options.js";
import { notWritten } from "./not-written.js";
import { isPrefixed } from "./runs/key-prefix.js";
import type { EngineRun, RunRequest } from "./runs/run.js";
import { KeyReused, type Recorded } from "./runs/run-store.js";
import { EngineRefusal, type EngineWorkflow } from "./types.js";
import type { DayLimit } from "./work/day-limit.js";
import { tellUnkept } from "./work/tell-unkept.js";
import { agentOf, allowedModels } from "./workflows/models.js";
import { listOffered } from "./workflows/offered-workflows.js";

/**
 * Checks a request and takes the run on. It is written down before anything else happens, so that a run that was
 * answered for is never forgotten.
 * @param key the client's own name for the start; with one that is known, the former run is the answer
 * @param options.within the only caller whose sessions are there to be continued
 * @param options.resumes the interrupted run that it goes on with by itself
 * @param options.refuse throws where nothing new may be started
 * @returns `happened` false for a run that was taken on before
 * @throws EngineRefusal when there is no run, and NotResumable
 */
export async function acceptRequest(
  asked: RunRequest,
  key: string | undefined,
  options: Pick<EngineOptions, "runs" | "library" | "agents" | "limits" | "log"> & {
    refuse: () => void;
    dayLimit: Pick<DayLimit, "refusal">;
    within?: string | undefined;
    resumes?: string | undefined;
  },
): Promise<Recorded> {
  const { runs, library, log, refuse } = options;
  refuseOtherDatabase(key, runs.keyPrefix);
  // Without a prefix the keys end with the engine.
  const requestKey =
    key === undefined || runs.keyPrefix === undefined ? undefined : { key, digest: digestOf(asked) };
  if (requestKey) {
    const known = runs.findByKey(requestKey.key);
    if (known && known.digest === requestKey.digest) return { run: known.run, happened: false };
  }
  refuse();
  refuseAddress(asked.repositoryUrl);
  if (asked.uncommitted && (asked.sessionId !== undefined || !isLocalRepository(asked.repositoryUrl ?? "")))
    throw new EngineRefusal(
      400,
      "Only a new session on a local repository takes uncommitted changes along. Nothing was started.",
    );
  if (asked.startFrom !== undefined && (asked.sessionId ?? asked.gitBranch) !== undefined)
    throw new EngineRefusal(
      400,
      "Only a new session without git_branch begins its own branch at another one (start_from). Nothing was started.",
    );
  const workflow = await library.get(asked.workflowName);
  if (!workflow) {
    const names = (await listOffered(library, options.agents)).map((one) => `'${one.name}'`);
    const problem = library.problems().find(({ name }) => name === asked.workflowName)?.message;
    throw new EngineRefusal(
      404,
      `Workflow '${asked.workflowName}' not found. Available: [${names.join(", ")}]${problem ? ` ${problem}` : ""}`,
    );
  }
  const kind = chooseAgent(asked, workflow, options.agents);
  const model = chooseModel(asked, workflow, kind);
  const unkept = tellUnkept(kind, { workflow, request: asked, limits: options.limits });
  if (unkept) throw new EngineRefusal(400, unkept);
  const found = await options.agents.find(kind.name);
  if (!found.ok) throw new EngineRefusal(503, found.problem);
  const isThere = ({ request }: EngineRun) =>
    options.within === undefined || request.userId === options.within;
  const former =
    asked.sessionId === undefined
      ? undefined
      : continued(runs.ofSession(asked.sessionId).filter(isThere), asked.sessionId);
  const wanted: RunRequest = {
    ...asked,
    // What the workflow has by then counts no more, also for a run that resumes this one.
    ...(kind.name === USUAL_AGENT ? {} : { agent: kind.name }),
    ...(model === undefined ? {} : { model }),
  };
  const request = former ? withFormer(wanted, former) : wanted;
  const runId = randomUUID();
  const sessionId = asked.sessionId ?? randomUUID();
  const sessionName = request.sessionName ?? `${asked.workflowName}-${runId.slice(0, 8)}`;
  refuse();
  // Last of all: a start that could not be is not told of money.
  const tooMuch = options.dayLimit.refusal(asked);
  if (tooMuch)
    throw new EngineRefusal(409, `The cost limit of the day is reached. ${tooMuch}`, "day_cost_limit");
  try {
    const { resumes } = options;
    const accepted = {
      runId,
      sessionId,
      sessionName,
      request,
      ...(resumes === undefined ? {} : { resumes }),
    };
    return await runs.accept(accepted, requestKey);
  } catch (error) {
    if (error instanceof KeyReused) {
      const message =
        "This Idempotency-Key came with another request before. Nothing was started. Use a new key.";
      throw new EngineRefusal(422, message);
    }
    throw notWritten(error, "A start", {
      ...{ log, undone: "Nothing was started." },
      uncertain:
        "Whether the run was started is not known: look for it in the list, or send the request again with the same Idempotency-Key.",
    });
  }
}

/**
 * A key that was made for a database that is not there any more: that one may know a run with it.
 * @param prefix what keys of the present database begin with
 */
function refuseOtherDatabase(key: string | undefined, prefix: string | undefined): void {
  if (key === undefined || !isPrefixed(key) || (prefix !== undefined && key.startsWith(prefix))) return;
  const message =
    "This Idempotency-Key was made for another database than the engine has now. Nothing was started. If it is of an " +
    "earlier try, look for its run in the list. For a new start make a key with the x-key-prefix of the engine's description.";
  throw new EngineRefusal(409, message, "key_of_another_database");
}

/** The conversation that a request continues: its newest run that came to its agent tells name, repository and branch. */
function continued(ofSession: readonly EngineRun[], sessionId: string): EngineRun {
  // What was refused, a branch that could not be had for instance, is not what the session stands on.
  const former = ofSession.find((run) => !run.neverStarted) ?? ofSession[0];
  if (!former) throw new EngineRefusal(404, `Session ${sessionId} not found`);
  // One that never came to its agent tells nothing of the conversation.
  const last = ofSession.find((run) => run.turn > 0 || run.errorCode !== undefined);
  const end = tellConversationEnd(last ?? {});
  if (!end) return former;
  throw new EngineRefusal(
    409,
    `Session "${former.sessionName}" cannot be continued: ${end}. Nothing was started. Start a new session on ` +
      "the same branch and say what is left to do.",
  );
}

/** @throws EngineRefusal where the engine has no such kind */
function chooseAgent({ agent }: RunRequest, workflow: EngineWorkflow, agents: Agents): AboutKind {
  const name = agent ?? agentOf(workflow);
  const kind = agents.get(name);
  if (kind) return kind;
  const names = agents.all.map((one) => one.name).join(", ");
  const whose = agent === undefined ? ` of the workflow '${workflow.name}'` : "";
  throw new EngineRefusal(
    400,
    `This engine has no agent "${name}"${whose}. It has: ${names}. Nothing was started.`,
  );
}

/**
 * The model that was asked for, in the spelling in which the workflow allows it.
 * @throws EngineRefusal when it does not
 */
function chooseModel({ model }: RunRequest, workflow: EngineWorkflow, kind: AboutKind): string | undefined {
  if (model === undefined) return undefined;
  const allowed = allowedModels(workflow, kind);
  const found = allowed.find((one) => one.toLowerCase() === model.toLowerCase());
  if (found !== undefined) return found;
  throw new EngineRefusal(
    400,
    `The workflow '${workflow.name}' allows no model "${cleanLine(model, 100)}"${kind.name === USUAL_AGENT ? "" : ` with ${kind.title}`}. Allowed: ${allowed.join(", ") || "none"}. ` +
      "Others have to be named by `models` in its workflow.json.",
  );
}

/** Whether the workflow, the agent and the model that are asked for are to be had here: each worker has its own workflows. */
export async function isOffered(
  asked: RunRequest,
  { library, agents }: Pick<EngineOptions, "library" | "agents">,
): Promise<boolean> {
  const workflow = await library.get(asked.workflowName);
  if (!workflow) return false;
  const kind = agents.get(asked.agent ?? agentOf(workflow));
  if (!kind) return false;
  const { model } = asked;
  if (model === undefined) return true;
  return allowedModels(workflow, kind).some((one) => one.toLowerCase() === model.toLowerCase());
}

function withFormer(asked: RunRequest, former: EngineRun): RunRequest {
  const sessionName = asked.sessionName ?? former.sessionName;
  // An empty folder of its own has neither repository nor branch.
  if (asked.tempWorkspace) return { ...asked, sessionName };
  const repositoryUrl = asked.repositoryUrl ?? former.request.repositoryUrl;
  const gitBranch = asked.gitBranch ?? former.request.gitBranch;
  // What the session was to begin with, where no run of it has had a place to work in yet.
  const uncommitted =
    former.request.uncommitted &&
    former.workspacePath === undefined &&
    repositoryUrl === former.request.repositoryUrl &&
    gitBranch === former.request.gitBranch;
  // Noted with the workspace once there is one.
  const consent = asked.consent ?? (former.workspacePath === undefined ? former.request.consent : undefined);
  const startFrom = former.workspacePath === undefined ? former.request.startFrom : undefined;
  return {
    ...asked,
    sessionName,
    ...(consent === undefined ? {} : { consent }),
    ...(startFrom === undefined ? {} : { startFrom }),
    ...(repositoryUrl === undefined ? {} : { repositoryUrl }),
    ...(gitBranch === undefined ? {} : { gitBranch }),
    ...(uncommitted ? { uncommitted } : {}),
  };
}

/** Equal for equal requests. */
function digestOf(request: RunRequest): string {
  const fields = Object.entries(request).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(fields)).digest("hex");
}

/**
 * An address that no run can use is refused before anything is written: it may hold a password, which is to stay
 * nowhere.
 */
function refuseAddress(address: string | undefined): void {
  if (!address?.trim()) return;
  const checked = isLocalRepository(address) ? checkLocalRepository(address) : checkRepositoryUrl(address);
  if (!checked.ok) throw new EngineRefusal(400, `${checked.problem} Nothing was started.`);
}
