import { createHmac, timingSafeEqual } from "node:crypto";
import type { Followed } from "../../actions/define-action.js";

/** The ids of tasks: each names what it follows, and holds for one caller. */
export interface TaskIds {
  /** The same in every process that has the same secret. */
  of(followed: Followed, caller: string): string;
  /** What the id names; undefined when it was not given to this caller. */
  read(taskId: string, caller: string): Followed | undefined;
}

const MAC_CHARS = 22;
const PLAN = "plan:";

/** @param secret the same in every process that may be asked for the tasks of another one */
export function createTaskIds(secret: string): TaskIds {
  function macOf(followed: Followed, caller: string): string {
    const text = JSON.stringify([caller, followed.kind, followed.id]);
    return createHmac("sha256", secret).update(text).digest("base64url").slice(0, MAC_CHARS);
  }
  return {
    of: (followed, caller) =>
      `${followed.kind === "run" ? "" : PLAN}${followed.id}.${macOf(followed, caller)}`,
    read(taskId, caller) {
      const end = taskId.lastIndexOf(".");
      if (end <= 0) return undefined;
      const [kind, id] = taskId.startsWith(PLAN)
        ? (["plan", taskId.slice(PLAN.length, end)] as const)
        : (["run", taskId.slice(0, end)] as const);
      const followed = { kind, id };
      const given = Buffer.from(taskId.slice(end + 1));
      const right = Buffer.from(macOf(followed, caller));
      return given.length === right.length && timingSafeEqual(given, right) ? followed : undefined;
    },
  };
}
