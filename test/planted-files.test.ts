import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { engineFiles } from "../src/engine/background/engine-files.js";
import { resolveEngineKey } from "../src/engine/background/engine-key.js";
import { openEngineLog } from "../src/engine/background/engine-log-file.js";
import { readEngineRecord, readLastPort } from "../src/engine/background/engine-record.js";
import { settleTokens } from "../src/server/http/serve-settings.js";
import { recordFileName } from "../src/sessions/store/file-names.js";
import { createFolderSessionStore } from "../src/sessions/store/folder-session-store.js";
import type { StoreProblem } from "../src/sessions/store/session-store.js";
import { runBin, temporaryFolder, toVariables } from "./support/bin.js";
import { testSettings } from "./support/harness.js";

/** Some other user of the machine. */
const OTHER = 12_345;
const PLANTED = "a-key-that-the-other-user-knows";
/** Only root can give files away, and only where users are numbers. */
const asRoot = it.runIf(process.geteuid?.() === 0);

let state: string;
let files: ReturnType<typeof engineFiles>;
beforeEach(() => {
  state = temporaryFolder();
  files = engineFiles(state);
});

function plant(path: string, text: string, mode = 0o600): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, mode);
}

describe("what another user has put into a shared state folder is not used", () => {
  asRoot("a folder of the engine, with a key in it", async () => {
    plant(files.key, PLANTED);
    mkdirSync(files.folder);
    for (const path of [files.privateFolder, files.folder]) {
      chownSync(path, OTHER, OTHER);
      chmodSync(path, 0o777);
    }
    await expect(resolveEngineKey({ stateFolder: state })).rejects.toThrow(
      /^The folder ".*" in the state folder belongs to another user of this machine \(uid 12345\).*make it yours/,
    );
    expect(readFileSync(files.key, "utf8")).toBe(PLANTED);
    const told = await runBin(["engine", "--port", "0"], toVariables({ STATE_DIR: state }));
    expect(told.code).not.toBe(0);
    expect(told.stderr).toContain("belongs to another user of this machine");
    expect(told.stderr).not.toMatch(/\n\s+at /);
  });

  asRoot("a link to a folder that is our own", async () => {
    const own = temporaryFolder();
    symlinkSync(own, files.privateFolder);
    lchownSync(files.privateFolder, OTHER, OTHER);
    await expect(resolveEngineKey({ stateFolder: state })).rejects.toThrow("belongs to another user");
  });

  asRoot("a key, a record, a port and a log in a folder that was open before", async () => {
    for (const path of [files.key, files.record, files.port, files.log]) {
      plant(path, path === files.port ? "4711\n" : PLANTED);
      chownSync(path, OTHER, OTHER);
    }
    await expect(resolveEngineKey({ stateFolder: state })).rejects.toThrow(
      'The file "key" in the state folder belongs to another user',
    );
    expect(await readEngineRecord(state)).toBeUndefined();
    expect(await readLastPort(state)).toBeUndefined();
    expect(() => openEngineLog(state)).toThrow("belongs to another user");
  });

  asRoot("a key where earlier versions had it, in the place of which a new one is made", async () => {
    plant(files.formerKey, PLANTED);
    chownSync(files.formerKey, OTHER, OTHER);
    expect(await resolveEngineKey({ stateFolder: state })).toMatch(/^[\w-]{43}$/);
  });

  it.skipIf(process.platform === "win32")("a key that others could read", async () => {
    plant(files.key, PLANTED, 0o644);
    await expect(resolveEngineKey({ stateFolder: state })).rejects.toThrow(
      /The file "key" in the state folder is open to other users of this machine \(mode 644\)/,
    );
  });

  asRoot("records of sessions, of which the rest is read", async () => {
    const upstream = "http://api.test";
    const open = (problems: StoreProblem[] = []) =>
      createFolderSessionStore({ folder: state, upstream, onProblem: (one) => problems.push(one) });
    const session = (key: string) => ({
      version: 1 as const,
      key,
      name: key,
      createdAt: 1,
      updatedAt: 1,
      runs: [],
    });
    for (const key of ["mine", "forged"]) await open().update(key, () => session(key));
    const [path = ""] = readdirSync(state, { recursive: true, encoding: "utf8" }).filter((one) =>
      one.endsWith(recordFileName("forged")),
    );
    chownSync(join(state, path), OTHER, OTHER);
    const problems: StoreProblem[] = [];
    expect((await open(problems).list()).map(({ key }) => key)).toEqual(["mine"]);
    expect(problems).toMatchObject([{ kind: "unreadable" }]);
  });

  asRoot(
    "a folder of sessions, without which they are remembered for as long as the server runs",
    async () => {
      const sessions = join(state, "sessions");
      mkdirSync(sessions);
      chownSync(sessions, OTHER, OTHER);
      const problems: StoreProblem[] = [];
      const store = createFolderSessionStore({
        folder: state,
        upstream: "http://api.test",
        onProblem: (one) => problems.push(one),
      });
      expect(await store.list()).toEqual([]);
      expect(problems[0]?.message).toMatch(/"sessions".* belongs to another user.*until this server ends\.$/);
    },
  );
});

describe.skipIf(process.platform === "win32")("a file of tokens", () => {
  const settle = (path: string) => settleTokens(testSettings({ TOKENS_FILE: path }));
  const TOKENS = "anna=0123456789abcdef\n";

  it.each([0o666, 0o644, 0o604, 0o620])("is refused with mode %o, and its content is not told", (mode) => {
    const path = join(state, "tokens");
    plant(path, TOKENS, mode);
    expect(() => settle(path)).toThrow(/TOKENS_FILE: the file is open to other users of this machine/);
    expect(() => settle(path)).not.toThrow("0123456789");
  });

  it.each([0o600, 0o400, 0o640])("is taken with mode %o", (mode) => {
    const path = join(state, "tokens");
    plant(path, TOKENS, mode);
    expect(settle(path)).toHaveLength(1);
  });

  asRoot("is refused when it belongs to another user", () => {
    const path = join(state, "tokens");
    plant(path, TOKENS);
    chownSync(path, OTHER, OTHER);
    expect(() => settle(path)).toThrow(/TOKENS_FILE: the file belongs to another user/);
  });
});
