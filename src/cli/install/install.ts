import { posix, win32 } from "node:path";
import { SettingsError } from "../../settings/settings.js";
import { findNearest } from "../../shared/nearest.js";
import { addByClaude } from "./add-by-claude.js";
import { CLIENT_FORMS, CLIENT_NAMES, type ClientForm, type ClientName, findFile } from "./clients.js";
import { ConfigChangedError } from "./config-files.js";
import { renderDiff, renderJsonDiff } from "./diff.js";
import { ENGINE_VARIABLE, InstallError, KEY_VARIABLE, SERVER_NAME } from "./names.js";
import { canRefer, planChange, withNewName } from "./plan-change.js";
import { FORMER_NAME } from "./rename-entry.js";
import { SERVICE_NAMES } from "./services.js";
import type { InstallOptions, Task } from "./task.js";

/** Names that every client takes, also in front of a tool's name. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/;

/**
 * Writes this server into a client's configuration, after showing the change and asking, and leaves a backup of the
 * file. What is there stays; a second time nothing is changed.
 * @returns the exit code: 0 written, shown or nothing to change; 1 not written
 * @throws SettingsError for an unknown client, or options that do not go together
 */
export async function runInstall(options: InstallOptions): Promise<number> {
  const { out, name = SERVER_NAME, project = false } = options;
  const form = findForm(options.client);
  if (!NAME.test(name)) throw new SettingsError("--name: letters, digits, - and _ only, at most 32");
  if (options.withKey && canRefer(form)) {
    throw new SettingsError(`--with-key: ${form.title} needs no key in its file. ${form.keyAdvice}`);
  }
  if (options.withKey && !options.apiKey) {
    throw new SettingsError(`--with-key: there is no key to be written; set ${KEY_VARIABLE}`);
  }
  const task = { ...options, name, project };
  let path = "";
  try {
    path = await findOwnFile(form, options, project);
    return await installInto(path, form, task);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const where = path ? `${path}: ` : "";
    if (error instanceof InstallError) {
      out(`${where}${message}. Nothing was changed.\n`);
      if (error.byHand) out(`To write it by hand:\n\n${planChange(form, undefined, task, undefined).text}`);
    } else if (error instanceof ConfigChangedError)
      out(`${where}${message}. Nothing was changed; try again.\n`);
    else if (code) out(`${where}it cannot be read or written (${code}). Nothing was changed.\n`);
    else throw error;
    return 1;
  }
}

/**
 * The file to be written.
 * @throws InstallError when it would be anywhere, because the home or a variable that stands for it names no place
 */
async function findOwnFile(form: ClientForm, options: InstallOptions, project: boolean): Promise<string> {
  const { home, platform } = options;
  const { isAbsolute } = platform === "win32" ? win32 : posix;
  const place = {
    ...options,
    // Looked at only when it is needed: a project's file, and one that a variable names, have nothing to do with it.
    get home(): string {
      if (isAbsolute(home)) return home;
      const variable = platform === "win32" ? "USERPROFILE" : "HOME";
      throw new InstallError(
        `The environment variable ${variable} is ${home === "" ? "not set" : "not an absolute path"}, so it is not known where ${form.title} has its configuration. Set it to your home folder`,
      );
    },
  };
  const path = await findFile(form, place, project);
  if (isAbsolute(path)) return path;
  throw new InstallError(
    `The configuration of ${form.title} would be at ${path}, which is a relative path. Make the variable that names it an absolute path`,
  );
}

async function installInto(path: string, form: ClientForm, task: Task): Promise<number> {
  const { out, ask, files } = task;
  const original = await files.read(path);
  const source = withNewName(original, form, task);
  const isRenamed = source !== original;
  const first = planChange(form, source, task, task.withKey ? task.apiKey : undefined);
  const key = first.lacksKey && !task.withKey && !task.print ? await askForKey(form, task) : undefined;
  const { text, entry, lacksKey } = key === undefined ? first : planChange(form, source, task, key);

  if (text === original) {
    out(`${form.title} has this server already, in ${path}. Nothing to change.\n`);
    if (lacksKey) out(`${keyIsMissing(form, task)}\n`);
    return 0;
  }
  const render = form.format === "json" ? renderJsonDiff : renderDiff;
  out(`${path}${original === undefined ? " (a new file)" : ""}\n\n${render(original ?? "", text)}\n`);
  if (isRenamed) {
    out(
      `The server was called "${FORMER_NAME}" there, which is also the name of a feature of some clients, and is renamed to ` +
        `"${task.name}". Rules of yours that name its tools (mcp__${FORMER_NAME}__…) need the new name, and its prompts ` +
        `are /mcp__${task.name}__… now; --name ${FORMER_NAME} keeps the old one.\n`,
    );
  }
  if (task.print) return 0;
  if (!task.yes) {
    if (!ask) {
      out("Nobody can be asked here, so nothing was written. --yes writes without asking.\n");
      return 1;
    }
    if (!(await ask(`Write this for ${form.title}?`))) {
      out("Nothing was written.\n");
      return 1;
    }
  }
  if (original !== undefined) {
    const backup = `${path}.backup-${new Date(task.now()).toISOString().replace(/[-:]|\.\d+/g, "")}`;
    await files.copy(path, backup);
    out(`A copy of the file as it was: ${backup}\n`);
  }
  if (isRenamed || !(await addByClaude(path, form, source, entry, task))) {
    // Starting that program may have changed the file, though nothing of what matters here.
    const now = form === CLIENT_FORMS["claude-code"] ? await files.read(path) : original;
    const next = now === original ? text : planChange(form, withNewName(now, form, task), task, key).text;
    await files.replace(path, next, { expected: now, mode: task.project ? 0o644 : 0o600 });
  }
  out(`Written. ${form.afterwards}\n`);
  if (lacksKey) out(`${keyIsMissing(form, task)}\n`);
  else if (task.variables[ENGINE_VARIABLE] !== "local" && canRefer(form)) out(`${form.keyAdvice}\n`);
  if (task.omitted?.length) {
    out(
      `Not written, because secrets are or may be in them: ${task.omitted.join(", ")}. Set them where the client is started; the name of a file (…_FILE) is written.\n`,
    );
  }
  if (task.project && task.launch.command !== "npx" && task.launch.command !== "cmd") {
    out("The file names folders of this machine: others who use the project have to change them.\n");
  }
  return 0;
}

/** The key, if there is one and the person wants it in the file. */
async function askForKey(form: ClientForm, { apiKey, yes, ask, out }: Task): Promise<string | undefined> {
  // `--yes` does not include writing the key.
  if (!apiKey || yes || !ask) return undefined;
  out(`${form.keyAdvice}\n`);
  return (await ask(`Write the key from ${KEY_VARIABLE} into the file?`)) ? apiKey : undefined;
}

function keyIsMissing(form: ClientForm, task: Task): string {
  const how = task.apiKey
    ? "--with-key writes it."
    : `Set ${KEY_VARIABLE} and use --with-key, or write it there by hand.`;
  return `The server has no key yet. ${form.keyAdvice} ${how}`;
}

function findForm(client: string): ClientForm {
  if ((CLIENT_NAMES as string[]).includes(client)) return CLIENT_FORMS[client as ClientName];
  const [nearest] = findNearest(client, [...CLIENT_NAMES, ...SERVICE_NAMES], 1);
  throw new SettingsError(
    `unknown client${nearest ? `; ${nearest} may be meant` : ""}; there are ${CLIENT_NAMES.join(", ")}, and the services ${SERVICE_NAMES.join(", ")}`,
  );
}
