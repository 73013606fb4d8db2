import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
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
import { createDatabaseSessionStore } from "../src/sessions/store/database-session-store.js";
import { recordFileName, upstreamFolderName } from "../src/sessions/store/file-names.js";
import type { StoreProblem } from "../src/store/store-error.js";
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

  asRoot("session files of an earlier release, of which the rest is taken over", async () => {
    const upstream = "http://api.test";
    const home = join(state, "sessions", upstreamFolderName(upstream));
    for (const key of ["mine", "forged"]) {
      const record = { version: 1, key, name: key, createdAt: 1, updatedAt: 1, runs: [] };
      plant(join(home, recordFileName(key)), JSON.stringify(record));
    }
    chownSync(join(home, recordFileName("forged")), OTHER, OTHER);
    const problems: StoreProblem[] = [];
    const store = createDatabaseSessionStore({
      folder: state,
      upstream,
      onProblem: (one) => problems.push(one),
    });
    expect((await store.list()).map(({ key }) => key)).toEqual(["mine"]);
    expect(problems[0]?.message).toContain("1 could not be read");
  });

  asRoot.each(["automagik.db", "automagik.db-wal"])(
    "a database (%s), without which sessions are remembered for as long as the server runs",
    async (name) => {
      plant(join(state, name), PLANTED, 0o666);
      chownSync(join(state, name), OTHER, OTHER);
      const problems: StoreProblem[] = [];
      const store = createDatabaseSessionStore({
        folder: state,
        upstream: "http://api.test",
        onProblem: (one) => problems.push(one),
      });
      expect(await store.list()).toEqual([]);
      expect(store.isForgetful()).toBe(true);
      expect(problems[0]?.message).toMatch(
        new RegExp(`"${name}".* belongs to another user.*until this server ends\\.$`),
      );
      expect(readFileSync(join(state, name), "utf8")).toBe(PLANTED);
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
