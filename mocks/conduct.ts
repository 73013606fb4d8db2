import { ApiRefusal } from "./refusal.js";
import type { Profile, QueuedMessage, QueueState, RunState, StartBody } from "./types.js";

const ERRORS_URL = "https://errors.pydantic.dev/2.13/v";

/**
 * Why the public server fails a run that it has just accepted, in its own words (runs-input-format-omitted.json,
 * runs-blank-message.json, runs-timeout-too-long.json); undefined when the run may begin.
 */
export function doomOf(body: StartBody): string | undefined {
  const complaints: string[] = [];
  if (body.message.trim() === "") {
    complaints.push(
      `message\n  Value error, Message cannot be empty [type=value_error, input_value='${body.message}', input_type=str]\n    For further information visit ${ERRORS_URL}/value_error`,
    );
  }
  if (body.timeout !== undefined && body.timeout > 7200) {
    complaints.push(
      `timeout\n  Input should be less than or equal to 7200 [type=less_than_equal, input_value=${body.timeout}, input_type=int]\n    For further information visit ${ERRORS_URL}/less_than_equal`,
    );
  }
  const format = body.input_format ?? null;
  if (format !== "text" && format !== "stream-json") {
    const shown =
      format === null ? "input_value=None, input_type=NoneType" : `input_value='${format}', input_type=str`;
    complaints.push(
      `input_format\n  Value error, Input format must be either "text" or "stream-json" [type=value_error, ${shown}]\n    For further information visit ${ERRORS_URL}/value_error`,
    );
  }
  if (complaints.length === 0) return undefined;
  return `${count(complaints.length)} for ClaudeCodeRunRequest\n${complaints.join("\n")}`;
}

function count(errors: number): string {
  return errors === 1 ? "1 validation error" : `${errors} validation errors`;
}

/** The public server's complaint about a user id that is no UUID (run-accepted-but-failed-200.json). */
export function uuidComplaint(userId: string): string | undefined {
  if (/^(?:urn:uuid:)?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(userId)) return undefined;
  const odd = /[^0-9a-f-]/i.exec(userId);
  const reason =
    odd === null
      ? `invalid length: expected length 32 for simple format, found ${userId.length}`
      : `invalid character: found \`${odd[0]}\` at ${odd.index + 1}`;
  return `1 validation error for WorkflowRunCreate\nuser_id\n  Input should be a valid UUID, ${reason} [type=uuid_parsing, input_value='${userId}', input_type=str]\n    For further information visit ${ERRORS_URL}/uuid_parsing`;
}

/** A message as it would be queued; the API checks it before it looks for the run. */
export function messageTo(type: string, content: string, at: number): QueuedMessage {
  if (type !== "user" && type !== "system") {
    throw new ApiRefusal(400, "message_type must be 'user' or 'system'");
  }
  const text = content.trim();
  if (text === "") throw new ApiRefusal(400, "content cannot be empty");
  return { type, content: text, at };
}

/** Queues a message for a run that has not ended; gives a copy of the queue. */
export function queueOf(state: RunState, message: QueuedMessage): QueueState {
  if (state.status !== "pending" && state.status !== "running") {
    throw new ApiRefusal(400, `Cannot add messages to workflow in ${state.status} state`);
  }
  state.queue ??= { waiting: [], added: 0, consumed: 0 };
  state.queue.waiting.push(message);
  state.queue.added += 1;
  return structuredClone(state.queue);
}

/**
 * Stops a run. Under the contract that ends the agent too, and a run that has ended cannot be stopped; the public
 * server only writes the status, whatever it was.
 */
export function stopRun(state: RunState, force: boolean, now: number, profile: Profile): RunState {
  if (profile === "contract") {
    if (state.agent === "ended") throw new ApiRefusal(409, `Run ${state.runId} is already ${state.status}`);
    state.agent = "ended";
    state.action = null;
  }
  state.status = "killed";
  state.completedAt = now;
  state.error = `Workflow ${killWords(force)}`;
  state.kill = { at: now, force, afterWrite: state.writes };
  return state;
}

/** The API's words for the two ways of stopping. */
export function killWords(force: boolean): string {
  return force ? "force killed" : "gracefully terminated";
}

/** Removes what a run has left behind. Forced on a run in flight, only the contract stops the run first. */
export function cleanUp(state: RunState, force: boolean, now: number, profile: Profile): RunState {
  if (state.status === "pending" || state.status === "running") {
    if (!force) throw new ApiRefusal(400, "Workflow is still running. Use force=true to cleanup anyway.");
    if (profile === "contract") stopRun(state, true, now, profile);
  }
  const removed = state.workspaceExists;
  state.workspaceExists = false;
  state.cleanedUp = true;
  state.cleanup = { at: now, removed, afterWrite: state.writes };
  return state;
}
