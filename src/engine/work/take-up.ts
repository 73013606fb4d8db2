import { type EngineRun, hasEnded, type QueuedMessage } from "../runs/run.js";
import type { StoredEvent } from "../runs/run-store.js";
import type { RunQueue } from "./run-queue.js";
import type { RunWork } from "./run-work.js";
import { toQueued } from "./turn-order.js";

/**
 * Does here what follows from what another engine has written of a run, where several share a database.
 * @param here.work the run, where it is at work here; `isOwn`: it was begun here
 * @param here.deliver hands a message that is written down to its agent
 * @param here.bring brings what an interrupted run has committed
 * @param here.leave leaves the session to the worker that goes on with it
 */
export function takeUp(
  { type, data }: StoredEvent,
  run: EngineRun,
  here: {
    queue: Pick<RunQueue, "add" | "remove" | "begunElsewhere" | "look">;
    work: RunWork | undefined;
    isOwn: boolean;
    deliver: (messageId: string) => Promise<unknown>;
    bring: () => Promise<void>;
    leave: () => Promise<void>;
  },
): void {
  const { queue, work } = here;
  if (type === "accepted" && run.status === "pending") queue.add(toQueued(run));
  if (type === "started" && !hasEnded(run)) queue.begunElsewhere(toQueued(run));
  if (type === "started" || type === "ended" || type === "kill-asked" || type === "cleaned-up") {
    if (run.status !== "pending") queue.remove(run.runId);
    queue.look();
  }
  if (type === "workspace-ready") void here.leave();
  // Its agent may have come to its own end while this engine was cut off: what it has committed is here alone.
  if (!work && type === "ended" && run.leftBehind && here.isOwn) void here.bring();
  if (!work) return;
  // It was taken for gone, and the run is over: whatever its agent still does is nobody's any more.
  if (type === "ended") void work.kill(true).finally(here.bring);
  // It had just begun here when it still waited for the other one.
  if (type === "kill-asked") void work.kill(data.force === true);
  // Written by this one, when it could not hear that: the agent has not got it.
  if (type === "question-closed" && data.by === "person")
    work.giveAnswer(String(data.questionId), String(data.answer));
  if (type === "message-added") void here.deliver((data.message as QueuedMessage).id);
}
