import { type ClientForm, planEntry } from "./clients.js";
import { editJson } from "./edit-json.js";
import { editToml } from "./edit-toml.js";
import { editYaml } from "./edit-yaml.js";
import { asRecord, type Entry, mergeEntry } from "./entry.js";
import { ENGINE_VARIABLE, KEY_VARIABLE, SERVER_NAME } from "./names.js";
import { FORMER_NAME, renameEntry } from "./rename-entry.js";
import type { Task } from "./task.js";

/** The file with this server's entry renamed, where it has the former name and the person has named none. */
export function withNewName(
  source: string | undefined,
  form: ClientForm,
  { name }: Task,
): string | undefined {
  if (source === undefined || name !== SERVER_NAME) return source;
  return renameEntry(source, form, FORMER_NAME, name) ?? source;
}

/**
 * The file with the server in it, the server's entry, and whether the server will have no key.
 * @param source the file's text, undefined when there is none
 * @param key the key itself, only where it is to be written
 * @throws InstallError when the file cannot be changed safely
 */
export function planChange(
  form: ClientForm,
  source: string | undefined,
  task: Task,
  key: string | undefined,
): { text: string; entry: Entry; lacksKey: boolean } {
  const plan = planEntry(form, { ...task, key });
  let entry: Entry = {};
  const edit = {
    part: form.part,
    name: task.name,
    merge(existing: Entry | undefined) {
      entry = mergeEntry(existing, plan, task.name);
      return entry;
    },
  };
  const text =
    form.format === "toml"
      ? editToml(source, edit)
      : form.format === "yaml"
        ? editYaml(source, edit)
        : editJson(source, {
            ...edit,
            strict: form.strict === true,
            ...(form.input ? { input: form.input } : {}),
          });
  const lacksKey =
    !canRefer(form) &&
    task.variables[ENGINE_VARIABLE] !== "local" &&
    !(KEY_VARIABLE in asRecord(entry[form.variablesField]));
  return { text, entry, lacksKey };
}

/** Whether the client fills in the key itself, so that it need not stand in the file. */
export function canRefer(form: ClientForm): boolean {
  return form.keyReference !== undefined || form.namesField !== undefined;
}
