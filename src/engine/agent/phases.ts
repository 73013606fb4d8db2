import { cleanLine } from "../../shared/text.js";
import { asList, asRecord, asText, type JsonRecord } from "./json.js";

/** Tools with which the agent keeps its list of things to do; which of them there are depends on its version. */
const LIST_TOOLS = new Set(["TodoWrite", "TaskCreate", "TaskUpdate"]);

/**
 * Follows the agent's list of things to do. An entry counts as done when the call that says so has succeeded, and
 * once only.
 * @param onDone gets the names of finished entries
 */
export function createPhaseReader(onDone: (name: string) => void): {
  toolUse(id: string, name: string, input: unknown): void;
  toolResult(id: string, failed: boolean, details: unknown): void;
} {
  const calls = new Map<string, { name: string; input: JsonRecord }>();
  const subjects = new Map<string, string>();
  const done = new Set<string>();

  function finish(name: string | undefined): void {
    const line = name && cleanLine(name, 120);
    if (!line || done.has(line)) return;
    done.add(line);
    onDone(line);
  }

  return {
    toolUse(id, name, input) {
      if (LIST_TOOLS.has(name)) calls.set(id, { name, input: asRecord(input) });
    },
    toolResult(id, failed, details) {
      const call = calls.get(id);
      calls.delete(id);
      if (!call || failed) return;
      const { name, input } = call;
      if (name === "TodoWrite") {
        for (const todo of asList(input.todos).map(asRecord))
          if (todo.status === "completed") finish(asText(todo.content));
      } else if (name === "TaskCreate") {
        // The entry's number is the tool's to give.
        const task = asRecord(asRecord(details).task);
        const subject = asText(task.subject) ?? asText(input.subject);
        if (subject) subjects.set(String(task.id), subject);
      } else {
        const taskId = String(input.taskId);
        const subject = asText(input.subject) ?? subjects.get(taskId);
        if (subject) subjects.set(taskId, subject);
        if (input.status === "completed") finish(subject);
      }
    },
  };
}
