import { cleanLine } from "../../../shared/text.js";
import { asList, asRecord, asText, type JsonRecord } from "../json.js";

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
  /** The entry that the agent is at, in its own words for that; undefined when it is at none. */
  current(): string | undefined;
} {
  const calls = new Map<string, { name: string; input: JsonRecord }>();
  const subjects = new Map<string, string>();
  const done = new Set<string>();
  /** The entry in progress; of lists whose entries have numbers, with its number. */
  let current: { id?: string; name: string | undefined } | undefined;

  function finish(name: string | undefined): void {
    const line = name && cleanLine(name, 120);
    if (!line || done.has(line)) return;
    done.add(line);
    onDone(line);
  }

  const nameOf = (entry: JsonRecord, otherwise?: string) =>
    cleanLine(asText(entry.activeForm) ?? otherwise ?? "", 120) || undefined;

  return {
    current: () => current?.name,
    toolUse(id, name, input) {
      if (LIST_TOOLS.has(name)) calls.set(id, { name, input: asRecord(input) });
    },
    toolResult(id, failed, details) {
      const call = calls.get(id);
      calls.delete(id);
      if (!call || failed) return;
      const { name, input } = call;
      if (name === "TodoWrite") {
        const todos = asList(input.todos).map(asRecord);
        const at = todos.find((todo) => todo.status === "in_progress");
        current = at && { name: nameOf(at, asText(at.content)) };
        for (const todo of todos) if (todo.status === "completed") finish(asText(todo.content));
      } else if (name === "TaskCreate") {
        // The entry's number is the tool's to give.
        const task = asRecord(asRecord(details).task);
        const subject = asText(task.subject) ?? asText(input.subject);
        if (subject) subjects.set(String(task.id), subject);
      } else {
        const taskId = String(input.taskId);
        const subject = asText(input.subject) ?? subjects.get(taskId);
        if (subject) subjects.set(taskId, subject);
        if (input.status === "in_progress") current = { id: taskId, name: nameOf(input, subject) };
        else if (input.status !== undefined && current?.id === taskId) current = undefined;
        if (input.status === "completed") finish(subject);
      }
    },
  };
}
