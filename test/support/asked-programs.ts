import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Keys of this product and of services: no agent gets them unasked, and no program by which one is looked for. */
export const SECRETS = {
  AUTOMAGIK_WORKFLOWS_API_KEY: "own-key",
  SLACK_BOT_TOKEN: "of-slack",
  GITHUB_TOKEN: "of-github",
  LINEAR_API_KEY: "of-linear",
  PGPASSWORD: "of-postgres",
};

/** A line of the shell by which a program tells `readAsked` that it was asked, for what, and with which environment. */
export function tellAsked(folder: string, what: string): string {
  return `env > "${folder}/asked ${what}"`;
}

/** What the programs of a folder were asked, in order, and which of these variables each was given. */
export function readAsked(folder: string, env: NodeJS.ProcessEnv): { asked: string; given: string[] }[] {
  const prefix = "asked ";
  const files = readdirSync(folder).filter((name) => name.startsWith(prefix));
  return files.sort().map((name) => {
    const lines = readFileSync(join(folder, name), "utf8").split("\n");
    const given = lines.map((line) => line.split("=", 1)[0] ?? "").filter((one) => one in env);
    return { asked: name.slice(prefix.length), given: given.sort() };
  });
}
