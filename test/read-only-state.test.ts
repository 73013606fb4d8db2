import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { BIN, runBin, temporaryFolder, toVariables } from "./support/bin.js";

// A state folder that has its files already, on a disk that has become read-only: a mount that only the bin sees.
vi.setConfig({ testTimeout: 60_000 });

const inMount = (command: string, args: string[], env: NodeJS.ProcessEnv) =>
  spawnSync("unshare", ["-m", "sh", "-c", command, "sh", ...args], { encoding: "utf8", env });
const canMount =
  process.platform === "linux" &&
  inMount("mount -t tmpfs none /mnt", [], { PATH: process.env.PATH }).status === 0;

it.runIf(canMount)("is told once, in plain words and with what to do", async () => {
  const home = temporaryFolder();
  for (const folder of ["engine", "engine/workspaces", "engine/workspaces/worktrees"])
    mkdirSync(join(home, folder), { mode: 0o700 });
  chmodSync(home, 0o700);
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    ...toVariables({ STATE_DIR: home, NOTIFY: "off", ENGINE_CONCURRENCY: "3" }),
  };
  const readOnly = (...args: string[]) =>
    inMount(
      'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"',
      [home, process.execPath, BIN, ...args],
      env,
    );
  const todo =
    "The state folder cannot be written (EROFS). Make it writable, or name another folder in AUTOMAGIK_WORKFLOWS_STATE_DIR";
  // They leave the files that a second time finds.
  expect(await runBin(["sessions", "clean"], env as Record<string, string>)).toMatchObject({ code: 0 });
  expect(await runBin(["dashboard", "--no-open"], env as Record<string, string>)).toMatchObject({ code: 0 });
  expect(await runBin(["engine", "stop"], env as Record<string, string>)).toMatchObject({ code: 0 });

  const shown = readOnly("dashboard", "--no-open");
  expect(shown).toMatchObject({ status: 1, stdout: "", stderr: `automagik-workflows-mcp: ${todo}\n` });

  const cleaned = readOnly("sessions", "clean", "--engine-concurrency", "2");
  expect(cleaned.status).toBe(1);
  expect(cleaned.stderr.match(/could not be handed to the engine/g)).toHaveLength(1);
  expect(cleaned.stderr).toContain(`could not be handed to the engine: ${todo}. Those that held before`);
  expect(cleaned.stderr).not.toMatch(/EROFS:|mkdir|open '/);
});
