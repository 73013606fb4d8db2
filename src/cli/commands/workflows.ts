import { spawn } from "node:child_process";
import { homedir } from "node:os";
import { VERSION } from "../../shared/version.js";
import type { Invocation } from "../command-line.js";
import { foreignEnvironment } from "../process.js";
import { editWorkflow } from "../workflows/edit-workflow.js";
import { listWorkflows } from "../workflows/list-workflows.js";
import { openWorkflows } from "../workflows/open-workflows.js";

const out = (text: string) => process.stdout.write(text);
const look = () => openWorkflows({ env: process.env, platform: process.platform, home: homedir() });

/** `workflows`: what there is, and where it comes from. */
export async function workflows({ json }: Invocation): Promise<number> {
  return listWorkflows(await look(), { json: json === true, out });
}

/** `workflows edit NAME`: a copy of a shipped one, to be changed. */
export async function editOwnWorkflow({ operands = [] }: Invocation): Promise<number> {
  const [name = ""] = operands;
  return editWorkflow(name, { open: await look(), look, version: VERSION, edit: findEditor(), out });
}

/** The person's editor, as git takes it: a command of the shell; undefined without a terminal, or where none is set. */
function findEditor(): ((paths: string[]) => Promise<void>) | undefined {
  const env = foreignEnvironment();
  const command = env.VISUAL?.trim() || env.EDITOR?.trim();
  if (!command || !process.stdin.isTTY || !process.stdout.isTTY) return undefined;
  return (paths) =>
    new Promise((resolve) => {
      const isWindows = process.platform === "win32";
      const shell = isWindows
        ? { file: `${command} ${paths.map((path) => `"${path}"`).join(" ")}`, args: [] }
        : { file: "/bin/sh", args: ["-c", `${command} "$@"`, command, ...paths] };
      const editor = spawn(shell.file, shell.args, { stdio: "inherit", env, shell: isWindows });
      editor.once("error", () => resolve());
      editor.once("close", () => resolve());
    });
}
