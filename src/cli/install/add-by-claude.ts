import { isDeepStrictEqual } from "node:util";
import { CLIENT_FORMS, type ClientForm } from "./clients.js";
import { asRecord, type Entry } from "./entry.js";
import type { Task } from "./task.js";

/**
 * Lets Claude Code add a server to its own file, which it writes itself while it runs. An entry that is there already
 * is not changed in this way: it may hold secrets, and other users of a machine can read arguments.
 * @returns false when it is not concerned, not there, or has not written what it should
 */
export async function addByClaude(
  path: string,
  form: ClientForm,
  source: string | undefined,
  entry: Entry,
  task: Task,
): Promise<boolean> {
  const { runClaude, files, name, project } = task;
  if (form !== CLIENT_FORMS["claude-code"] || project || !runClaude) return false;
  const read = (text: string | undefined) => asRecord(asRecord(JSON.parse(text || "{}"))[form.part])[name];
  if (read(source) !== undefined) return false;
  if (!(await runClaude(["mcp", "add-json", "--scope", "user", name, JSON.stringify(entry)]))) return false;
  return isDeepStrictEqual(read(await files.read(path)), entry);
}
