import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { delimiter, join } from "node:path";
import Libsql from "libsql";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { type ServedApi, type ServeOptions, serveSimulatedApi } from "../mocks/serve.js";
import { createProbe } from "../src/api/probe.js";
import { checkNode } from "../src/cli/doctor/check-programs.js";
import { type DoctorOptions, runDoctor } from "../src/cli/doctor/doctor.js";
import type { Finding } from "../src/cli/doctor/finding.js";
import { writeEngineRecord } from "../src/engine/background/engine-record.js";
import { createDatabaseSessionStore } from "../src/sessions/store/database-session-store.js";
import { createSharedSessionStore } from "../src/sessions/store/shared-session-store.js";
import { readSettings, type Settings, SettingsError } from "../src/settings/settings.js";
import { lastingIdentity } from "../src/shared/background/process-life.js";
import { takeLock } from "../src/shared/background/process-lock.js";
import { type Clock, systemClock } from "../src/shared/clock.js";
import { runBin, temporaryFolder, toVariables } from "./support/bin.js";
import { freePort } from "./support/free-port.js";
import { createHandClock, hasten } from "./support/hand-clock.js";
import { noteDeliveries as note } from "./support/noted-deliveries.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";

/** The doctor's own limit for a check, 5 s, does not pass here, however busy the machine is. */
const patientClock: Clock = {
  ...systemClock,
  after: (ms, task) => systemClock.after(ms === 5_000 ? 120_000 : ms, task),
};

/** Named as a whole, so that the PATH of the checks can be one without a Claude Code that this machine may have. */
const GIT = (process.env.PATH ?? "")
  .split(delimiter)
  .map((folder) => join(folder, "git"))
  .find((path) => existsSync(path));

let home: string;
let state: string;

beforeEach(() => {
  home = temporaryFolder();
  state = join(home, "state");
});

async function serve(options: ServeOptions = {}): Promise<ServedApi> {
  const served = await serveSimulatedApi(options);
  onTestFinished(() => served.close());
  return served;
}

/** A server of another kind. */
async function serveOther(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function settings(values: Record<string, string>): Settings {
  return readSettings(toVariables({ API_KEY: "test-key", STATE_DIR: state, ...values }));
}

interface Diagnosis {
  code: number;
  text: string;
  /** By check. */
  found: Record<string, Finding>;
}

async function examine(
  given: Settings | SettingsError,
  more: Partial<DoctorOptions> = {},
): Promise<Diagnosis> {
  let text = "";
  const code = await runDoctor({
    settings: given,
    env: { PATH: join(home, "no-programs") },
    gitPath: GIT ?? "git",
    home,
    platform: process.platform,
    nodeVersion: "20.20.2",
    clock: patientClock,
    answerMs: 120_000,
    out: (shown) => {
      text += shown;
    },
    json: true,
    ...more,
  });
  const list: Finding[] = more.json === false ? [] : JSON.parse(text);
  return { code, text, found: Object.fromEntries(list.map((finding) => [finding.check, finding])) };
}

const statuses = (found: Record<string, Finding>, ...checks: string[]) =>
  checks.map((check) => found[check]?.status);
const ENDPOINTS = ["manage", "workflows", "health", "runs", "description", "events"];

describe("with an API that is as it should be", () => {
  it("finds nothing that fails, and says how much it found", async () => {
    const { url, api } = await serve({ describe: true });
    const { code, found } = await examine(settings({ BASE_URL: url }));
    expect(code).toBe(0);
    expect(Object.keys(found)).toEqual([
      "node",
      "settings",
      "address",
      "key",
      "catalogue",
      ...ENDPOINTS,
      "state",
      "git",
      "claude",
      "codex",
      "sandbox",
      "engine",
      "plans",
      "notifications",
    ]);
    expect(Object.values(found).filter(({ status }) => status === "failure" || status === "warning")).toEqual(
      [],
    );
    expect(found.address?.message).toBe(`${url} answers`);
    expect(found.catalogue?.message).toBe(`${api.world.workflows.list().length} workflows`);
    expect(found.description?.message).toBe("answers");
    expect(found.git?.message).toMatch(/^\d+\.\d+/);
  });

  it.each(["contract", "automagik-0.6"] as const)(
    "sends nothing but GETs and changes nothing (%s)",
    async (profile) => {
      const { url, api } = await serve({ profile });
      const { code } = await examine(settings({ BASE_URL: url }));
      expect(code).toBe(0);
      expect(new Set(api.requests.map(({ method }) => method))).toEqual(new Set(["GET"]));
      expect(api.requests.find(({ path }) => path === "root:/health")?.headers["x-api-key"]).toBeUndefined();
      expect(readdirSync(home)).toEqual([]);
    },
  );

  it.each(["workflows", "health"] as const)(
    "is content with an API that tells its workflows by %s",
    async (discovery) => {
      const { url } = await serve({ discovery });
      const { code, found } = await examine(settings({ BASE_URL: url }));
      expect(code).toBe(0);
      expect(found.manage).toMatchObject({ status: "ok", message: expect.stringContaining("not needed") });
      expect(found.catalogue?.status).toBe("ok");
    },
  );

  it("writes one line for each check, with what to do", async () => {
    const { url } = await serve();
    const { text } = await examine(settings({ BASE_URL: url, API_KEY: "another-key" }), { json: false });
    const lines = text.trimEnd().split("\n");
    expect(lines).toHaveLength(19);
    expect(lines).toContain(`ok    address       ${url} answers`);
    expect(lines.find((line) => line.startsWith("FAIL"))).toMatch(
      /^FAIL {2}key .* → Set AUTOMAGIK_WORKFLOWS_API_KEY/,
    );
  });
});

describe("with an API that is not", () => {
  it("says that nothing is to be reached, once", async () => {
    const { url, close } = await serve();
    await close();
    const { code, found } = await examine(settings({ BASE_URL: url }));
    expect(code).toBe(1);
    expect(found.address).toMatchObject({
      status: "failure",
      message: expect.stringContaining("ECONNREFUSED"),
    });
    expect(new Set(statuses(found, "key", "catalogue", ...ENDPOINTS))).toEqual(new Set(["skipped"]));
  });

  it("says that the key is refused, without showing it", async () => {
    const { url, api } = await serve();
    api.fault({ path: "/manage" }, { status: 401, body: { detail: "Invalid key: another-key" } });
    const { code, text, found } = await examine(settings({ BASE_URL: url, API_KEY: "another-key" }));
    expect(code).toBe(1);
    expect(found.address?.status).toBe("ok");
    expect(found.key).toMatchObject({ status: "failure", message: expect.stringContaining("HTTP 401") });
    expect(text).not.toContain("another-key");
    expect(new Set(statuses(found, "catalogue", ...ENDPOINTS))).toEqual(new Set(["skipped"]));
  });

  it("says that there is no key, and still whether the address answers", async () => {
    const { url, api } = await serve();
    const { code, found } = await examine(settings({ BASE_URL: url, API_KEY: "" }));
    expect(code).toBe(1);
    expect(statuses(found, "address", "key", "manage")).toEqual(["ok", "failure", "skipped"]);
    expect(api.requests.map(({ path }) => path)).toEqual(["root:/health"]);
  });

  it.each<[string, RequestListener]>([
    [
      "a web page for everything",
      (_, response) => response.writeHead(200).end("<!doctype html><title>Log in</title>"),
    ],
    ["redirects", (_, response) => response.writeHead(302, { location: "https://login.test/" }).end()],
    ["nothing that is known", (_, response) => response.writeHead(404).end("{}")],
    [
      "a description only",
      (request, response) =>
        request.url === "/api/v1/openapi.json"
          ? response.writeHead(200).end('{"paths":{}}')
          : response.writeHead(404).end("Not found"),
    ],
  ])("says that no workflows API is there: %s", async (_what, listener) => {
    const { code, found } = await examine(settings({ BASE_URL: await serveOther(listener) }));
    expect(code).toBe(1);
    expect(found.address).toMatchObject({
      status: "failure",
      message: expect.stringContaining("is not a workflows API"),
    });
    expect(found.address?.todo).toContain("AUTOMAGIK_WORKFLOWS_BASE_URL");
    expect(new Set(statuses(found, "key", "catalogue", ...ENDPOINTS))).toEqual(new Set(["skipped"]));
  });

  it("names the endpoint that fails, and what the API says", async () => {
    const { url, api } = await serve();
    api.fault({ path: "/runs" }, { status: 500, body: { detail: "database is locked" } });
    const { code, found } = await examine(settings({ BASE_URL: url }));
    expect(code).toBe(1);
    expect(found.runs).toMatchObject({
      status: "failure",
      message: 'the API itself failed (HTTP 500: "database is locked")',
    });
    expect(statuses(found, "key", "catalogue", "manage")).toEqual(["ok", "ok", "ok"]);
  });

  it("takes an endpoint that is missing for a warning where the rest goes on without", async () => {
    const { url, api } = await serve();
    api.fault({ path: "/runs" }, { status: 404, body: { detail: "Not Found" } });
    const { code, found } = await examine(settings({ BASE_URL: url }));
    expect(code).toBe(0);
    expect(found.runs?.status).toBe("warning");
  });

  it("tells which actions the API's own description leaves out, and takes a broken one for none", async () => {
    const { url, api } = await serve({ describe: true, without: ["/run/{run_id}/kill"] });
    const { code, found } = await examine(settings({ BASE_URL: url }));
    expect(code).toBe(0);
    expect(found.description).toMatchObject({
      status: "ok",
      message: "answers; actions that need these are left out: POST /run/{run_id}/kill",
    });
    api.fault({ path: "root:/api/v1/openapi.json" }, { status: 200, body: "<!doctype html>" });
    const broken = await examine(settings({ BASE_URL: url }));
    expect(broken.code).toBe(0);
    expect(broken.found.description?.status).toBe("warning");
  });

  it("warns of an API without workflows, and of one that asks for patience", async () => {
    const { url, api } = await serve({ describe: true });
    api.fault({ path: "/manage" }, { body: { workflows: [] } });
    api.fault({ path: "root:/api/v1/openapi.json" }, { status: 429 });
    const { code, found } = await examine(settings({ BASE_URL: url }));
    expect(code).toBe(0);
    expect(statuses(found, "catalogue", "description")).toEqual(["warning", "warning"]);
  });

  it("does not wait for an API that never answers", async () => {
    const { url, api } = await serve();
    api.fault({}, { hang: true });
    const { code, found } = await examine(settings({ BASE_URL: url, REQUEST_TIMEOUT: "1" }));
    expect(code).toBe(1);
    expect(found.address?.message).toContain("no answer");
  });

  it("gives the rest when one endpoint never answers", async () => {
    const { url, api } = await serve();
    api.fault({ path: "/runs" }, { hang: true });
    const { found } = await examine(settings({ BASE_URL: url, REQUEST_TIMEOUT: "4" }));
    expect(statuses(found, "key", "manage", "runs")).toEqual(["ok", "ok", "failure"]);
  });
});

describe("the stream of events", () => {
  async function look(listener: RequestListener, requestTimeoutMs = 5_000) {
    const baseUrl = await serveOther(listener);
    return createProbe({ baseUrl, apiKey: "test-key", requestTimeoutMs, clock: systemClock }).endpoint(
      "events",
    );
  }

  it("is there when it begins, and is not listened to any longer", async () => {
    let closed: () => void = () => {};
    const gone = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const finding = await look((_, response) => {
      response.on("close", closed);
      response.writeHead(200, { "content-type": "text/event-stream" }).write("event: open\ndata: {}\n\n");
    });
    expect(finding).toEqual({ kind: "answers" });
    await gone;
  });

  it("is not there when something else comes, or nothing", async () => {
    expect((await look((_, response) => response.end('{"a":1}'))).kind).toBe("failed");
    expect((await look((_, response) => response.writeHead(200).flushHeaders(), 300)).kind).toBe("failed");
    expect(await look((_, response) => response.writeHead(404).end("{}"))).toEqual({
      kind: "absent",
      status: 404,
    });
  });
});

describe("settings and programs", () => {
  it("says what is wrong with the settings, and goes on with what needs none", async () => {
    const { code, found } = await examine(new SettingsError("--timeout: the value is not allowed"));
    expect(code).toBe(1);
    expect(found.settings).toMatchObject({
      status: "failure",
      message: "--timeout: the value is not allowed",
    });
    expect(found.address?.status).toBe("skipped");
    expect(statuses(found, "node", "git")).toEqual(["ok", "ok"]);
  });

  it.each([
    ["20.19.5", "failure"],
    ["20.20.0", "ok"],
    ["21.7.0", "failure"],
    ["22.11.0", "failure"],
    ["22.12.0", "ok"],
    ["23.1.0", "failure"],
    ["24.0.0", "ok"],
    ["26.1.0", "ok"],
  ])("Node %s: %s", (version, status) => {
    expect(checkNode(version).status).toBe(status);
  });

  it("warns when git is missing; an engine on this machine cannot do without", async () => {
    const { url } = await serve();
    const gitPath = join(home, "no-git");
    const off = await examine(settings({ BASE_URL: url }), { gitPath });
    expect([off.code, off.found.git?.status]).toEqual([0, "warning"]);
    const local = await examine(settings({ ENGINE: "local" }), { gitPath });
    expect([local.code, local.found.git?.status]).toEqual([1, "failure"]);
  });

  it("warns of a git that is too old for the engine", async () => {
    const gitPath = script("old-git", "#!/bin/sh\necho 'git version 2.37.9'\n");
    const { found } = await examine(settings({ ENGINE: "local" }), { gitPath });
    expect(found.git).toMatchObject({ status: "warning", message: "2.37.9 is old" });
  });

  it("looks at Claude Code where the engine of this machine needs it", async () => {
    const options =
      "--input-format --session-id --replay-user-messages --setting-sources --settings --strict-mcp-config";
    const claude = (loggedIn: string) =>
      script(
        `claude-${loggedIn}`,
        `#!/bin/sh
         case "$1" in
           --version) echo '2.1.330 (Claude Code)' ;;
           --help) echo '${options}' ;;
           auth) echo '{"loggedIn":${loggedIn}}' ;;
         esac`,
      );
    const look = async (path: string) =>
      (await examine(settings({ ENGINE: "local", CLAUDE_PATH: path }))).found.claude;
    expect(await look(claude("true"))).toMatchObject({
      status: "ok",
      message: "Claude Code 2.1.330 at ~/claude-true, logged in",
    });
    expect(await look(claude("false"))).toMatchObject({
      status: "failure",
      todo: expect.stringContaining("log in"),
    });
    expect(await look(claude("0"))).toMatchObject({ status: "warning" });
    expect(await look(join(home, "none"))).toMatchObject({
      status: "failure",
      message: expect.stringContaining("was not found"),
      todo: expect.stringMatching(/^Install it .*, or correct the setting\.$/),
    });
  });

  it("tells of Codex, counts its workflow where it is there, and fails for want of it in no case", async () => {
    const look = async (variables: object) =>
      (await examine(settings({ ENGINE: "local", ...variables }))).found;
    expect(await look({})).toMatchObject({
      codex: {
        status: "skipped",
        message: expect.stringMatching(
          /codex-acp was not found on the PATH\. .* once, or name it in AUTOMAGIK_WORKFLOWS_CODEX_ACP_PATH\.$/,
        ),
      },
      workflows: { message: "7 can be used" },
    });
    const answers = script(
      "codex-acp",
      '#!/bin/sh\ncase "$1 $2" in\n"--version ") echo 2.6.0 ;;\n"cli -V") echo codex-cli 0.171.0 ;;\n"cli mcp") echo [] ;;\nesac\n',
    );
    expect(await look({ CODEX_ACP_PATH: answers })).toMatchObject({
      codex: { status: "ok", message: "Codex 0.171.0 at ~/codex-acp" },
      workflows: { message: "8 can be used" },
    });
  });

  it("does not wait for a program that never answers", async () => {
    const started = join(home, "started");
    const hangs = script("hangs", `#!/bin/sh\n: > ${started}\nexec /bin/sleep 600\n`);
    const clock = createHandClock();
    const looking = examine(settings({ ENGINE: "local", CLAUDE_PATH: hangs }), { clock });
    await vi.waitFor(() => expect(existsSync(started)).toBe(true), { timeout: 60_000 });
    const { found } = await hasten(clock, looking);
    expect(found.claude?.message).toContain("no answer within 5 s");
  });

  function script(name: string, text: string): string {
    const path = join(home, name);
    writeFileSync(path, text);
    chmodSync(path, 0o755);
    return path;
  }
});

describe("the state folder", () => {
  async function look(): Promise<Finding | undefined> {
    const { url } = await serve();
    return (await examine(settings({ BASE_URL: url }))).found.state;
  }

  it("counts the sessions and tells the database, and changes nothing", async () => {
    const store = createDatabaseSessionStore({ folder: state, upstream: "http://a.test" });
    for (const key of ["a", "b"]) {
      await store.update(key, () => ({ version: 1, key, name: key, createdAt: 1, updatedAt: 1, runs: [] }));
    }
    await store.close();
    const files = () =>
      readdirSync(state)
        .sort()
        .map((name) => [name, readFileSync(join(state, name), "base64")]);
    const before = files();
    expect(await look()).toEqual({
      check: "state",
      status: "ok",
      message: expect.stringMatching(
        /^~\/state can be written; 2 sessions; its database, set up by version \d+\.\d+\.\d+, takes \d+ KiB and can be locked$/,
      ),
    });
    expect(files().filter(([name]) => name === "automagik.db")).toEqual(
      before.filter(([name]) => name === "automagik.db"),
    );

    writeFileSync(join(state, "automagik.db.damaged-1"), "");
    expect(await look()).toMatchObject({
      status: "warning",
      message: expect.stringContaining("set aside as damaged earlier: automagik.db.damaged-1"),
    });
  });

  it("leaves a damaged database to the next server", async () => {
    mkdirSync(state);
    const text = "not a database, only a long text\n".repeat(500);
    writeFileSync(join(state, "automagik.db"), text, { mode: 0o600 });
    expect(await look()).toMatchObject({
      status: "warning",
      message: expect.stringMatching(/^~\/state: The database is damaged\./),
    });
    expect(readFileSync(join(state, "automagik.db"), "utf8")).toBe(text);
  });

  it("says what to do about a database of a newer release", async () => {
    const store = createDatabaseSessionStore({ folder: state, upstream: "http://a.test" });
    await store.list();
    await store.close();
    const db = new Libsql(join(state, "automagik.db"));
    db.exec("insert into schema_migrations (name, release, applied_at) values ('900-later', '9.1.0', 1)");
    db.close();
    expect(await look()).toMatchObject({
      status: "failure",
      message: expect.stringMatching(/changed by version 9\.1\.0 .*Update this one/),
      // It can be written, and trying again does not help.
      todo: "Update this product.",
    });
    expect((await examine(settings({ ENGINE: "local" }))).found.plans).toMatchObject({
      status: "skipped",
      message: "not tried: the database cannot be used, as said above",
    });
  });

  it("makes nothing where there is no database yet", async () => {
    mkdirSync(state);
    expect(await look()).toMatchObject({
      status: "ok",
      message: expect.stringContaining("is created with the first session"),
    });
    expect(readdirSync(state)).toEqual([]);
  });

  it("says when other users can look in, and leaves it so", async () => {
    mkdirSync(state);
    writeFileSync(join(state, "automagik.db"), "");
    chmodSync(join(state, "automagik.db"), 0o644);
    expect(await look()).toMatchObject({ status: "warning", todo: "chmod 600 ~/state/automagik.db" });
    expect(statSync(join(state, "automagik.db")).mode & 0o777).toBe(0o644);
  });

  it("says when it cannot be written", async () => {
    writeFileSync(state, "in the way");
    expect(await look()).toMatchObject({
      status: "failure",
      message: expect.stringContaining("~/state cannot be"),
    });
    expect(readFileSync(state, "utf8")).toBe("in the way");
  });
});

const programs = await findPostgres();

describe("a PostgreSQL database for the sessions", () => {
  async function look(values: Record<string, string>, more: Partial<DoctorOptions> = {}): Promise<Diagnosis> {
    const { url } = await serve();
    return examine(settings({ BASE_URL: url, ...values }), more);
  }

  it("is a failure when it is not there, without its address", async () => {
    const address = `postgres://user:pass-4711@127.0.0.1:${await freePort()}/team`;
    const { code, found, text } = await look({ DATABASE: address }, { answerMs: 1_000 });
    expect(code).toBe(1);
    expect(found.state).toMatchObject({
      status: "failure",
      message: "The PostgreSQL server cannot be reached (ECONNREFUSED)",
      todo: "Correct that, or what AUTOMAGIK_WORKFLOWS_DATABASE names.",
    });
    expect(text).not.toMatch(/pass-4711|user@|:\d{5}\/team/);
    expect(found.plans).toMatchObject({ status: "skipped", message: expect.stringContaining("not tried") });
  });

  it("may be named in a file, which has to be its owner's and hold an address", async () => {
    const file = join(temporaryFolder(), "database");
    writeFileSync(file, "# not an address of secret-4711\n", { mode: 0o600 });
    const wrong = await look({ DATABASE_FILE: file });
    expect(wrong.found.state).toMatchObject({
      status: "failure",
      message:
        "AUTOMAGIK_WORKFLOWS_DATABASE_FILE: the text of the file is not the address of a PostgreSQL database",
    });
    expect(wrong.text).not.toContain("4711");
    const both = await look({ DATABASE_FILE: file, DATABASE: "postgres://127.0.0.1/team" });
    expect(both.found.state?.message).toContain("are both set");
    chmodSync(file, 0o644);
    expect((await look({ DATABASE_FILE: file })).found.state?.message).toMatch(
      /^AUTOMAGIK_WORKFLOWS_DATABASE_FILE: /,
    );
    const absent = await look({ DATABASE_FILE: `${file}-absent` });
    expect(absent.found.state?.message).toContain("the file cannot be read (ENOENT)");
  });

  it("is tried by the bundled program too, which loads the library when it is needed", async () => {
    const variables = {
      DATABASE: `postgres://127.0.0.1:${await freePort()}/team`,
      BASE_URL: (await serve()).url,
    };
    // A busy machine may take longer for it than doctor waits, which it says.
    await vi.waitFor(
      async () => {
        const { stdout } = await runBin(["doctor"], toVariables(variables));
        expect(stdout).toMatch(/^FAIL {2}state .*\(ECONNREFUSED\) → /m);
      },
      { timeout: 60_000 },
    );
  });

  describe.skipIf(!programs)("on a real server", () => {
    let server: PostgresServer;
    beforeAll(async () => {
      server = await startPostgres(programs as string);
    }, 60_000);
    afterAll(() => server.dispose());
    const nameOf = (address: string) => new URL(address).pathname.slice(1);

    it("is told with its version and step, in place of the folder, and stays as it is", async () => {
      const address = await server.createDatabase();
      const first = await look({ DATABASE: address });
      expect(first.code).toBe(0);
      expect(first.found.state).toEqual({
        check: "state",
        status: "ok",
        message: expect.stringMatching(
          /^the PostgreSQL server answers, version \d\d; tables are created with the first session$/,
        ),
      });
      const tables = "select 1 from information_schema.tables where table_schema = 'public'";
      expect(await server.query(tables, nameOf(address))).toEqual([]);
      const store = createSharedSessionStore({ address, upstream: "http://127.0.0.1" });
      await store.list();
      await store.close();
      const file = join(temporaryFolder(), "database");
      writeFileSync(file, `${address}\n`, { mode: 0o600 });
      const second = await look({ DATABASE_FILE: file });
      expect(second.found.state?.message).toMatch(
        /version \d\d; its tables were set up by version \d+\.\d+\.\d+ of this product$/,
      );
    });

    it("is looked into for what was told elsewhere, beside the state folder", async () => {
      const address = await server.createDatabase();
      expect((await look({ DATABASE: address })).found.told).toBeUndefined();
      await note({ folder: state }, [
        { target: "desktop", state: "sent" },
        { target: "slack-0a1b2c3d", state: "sent" },
      ]);
      await note({ folder: state, address }, [
        { target: "slack-questions", state: "sent" },
        { target: "slack", state: "unknown" },
        { target: "pull_request/worker-4711", state: "failed", payload: { title: "about 4711" } },
      ]);
      const { found, text, code } = await look({ DATABASE: address });
      expect(found.told).toEqual({
        check: "told",
        status: "warning",
        message: "desktop: 1 sent, Slack: 2 sent, Slack: 1 not known, pull requests: 1 failed",
        todo: expect.stringContaining("look there whether it has arrived"),
      });
      expect(code).toBe(0);
      expect(text).not.toMatch(/4711|0a1b2c3d/);
    });

    it("is a failure when it does not take the password, which is not shown", async () => {
      const address = (await server.createDatabase()).replace(/user_\d+:[^@]+/, "nobody:pass-4711");
      const { found, text } = await look({ DATABASE: address });
      expect(found.state).toMatchObject({
        status: "failure",
        message: expect.stringContaining("does not accept the user, password or database"),
      });
      expect(text).not.toMatch(/nobody|pass-4711/);
    });

    it("is a failure when its user may not create tables, with what gives the right", async () => {
      const address = await server.createDatabase();
      await server.query(`create role reader login; grant connect on database ${nameOf(address)} to reader`);
      const { found } = await look({ DATABASE: address.replace(/user_\d+/, "reader") });
      expect(found.state).toMatchObject({
        status: "failure",
        message: expect.stringContaining("may not create tables"),
        todo: expect.stringContaining("GRANT CREATE ON SCHEMA public"),
      });
    });

    it("is a failure when a newer release has changed it", async () => {
      const address = await server.createDatabase();
      const store = createSharedSessionStore({ address, upstream: "http://127.0.0.1" });
      await store.list();
      await store.close();
      await server.query(
        "insert into schema_migrations (name, release, applied_at) values ('999-later', '9.9.9', 0)",
        nameOf(address),
      );
      expect((await look({ DATABASE: address })).found.state).toMatchObject({
        status: "failure",
        message: expect.stringContaining("changed by version 9.9.9"),
        todo: "Update this product.",
      });
    });

    it("is warned of when the clocks differ", async () => {
      const address = await server.createDatabase();
      const clock = { ...patientClock, now: () => Date.now() - 60_000 };
      expect((await look({ DATABASE: address }, { clock })).found.state).toMatchObject({
        status: "warning",
        message: expect.stringMatching(/its clock and that of this machine are (60|61) s apart$/),
        todo: expect.stringContaining("NTP"),
      });
    });
  });
});

describe("notifications", () => {
  it("counts what was told elsewhere, and leaves out what became no news", async () => {
    expect((await examineOn({})).found.told).toBeUndefined();
    await note({ folder: state }, [
      { target: "desktop", state: "sent" },
      { target: "linear", state: "dropped" },
    ]);
    expect((await examineOn({})).found.told).toEqual({
      check: "told",
      status: "ok",
      message: "desktop: 1 sent",
    });
  });

  const examineOn = (values: Record<string, string>, env: NodeJS.ProcessEnv = {}) =>
    examine(settings({ BASE_URL: "http://127.0.0.1:1", ...values }), { env, platform: "linux" });

  it("says by which way a person is told, and shows no command", async () => {
    const { found, text } = await examineOn({ NOTIFY_COMMAND: "curl https://ntfy.example/secret-topic" });
    expect(found.notifications).toEqual({ check: "notifications", status: "ok", message: "by your command" });
    expect(text).not.toContain("secret-topic");
    expect((await examineOn({ NOTIFY: "off" })).found.notifications).toMatchObject({
      status: "ok",
      message: "off",
    });
  });

  it("says why there is none, and what is missing of a desktop that was asked for", async () => {
    expect((await examineOn({})).found.notifications).toEqual({
      check: "notifications",
      status: "skipped",
      message: "none: there is no desktop session (neither DISPLAY nor WAYLAND_DISPLAY is set)",
    });
    const { found } = await examineOn({ NOTIFY: "desktop", NOTIFY_COMMAND: "cat" });
    expect(found.notifications).toMatchObject({
      status: "warning",
      message: expect.stringMatching(
        /^by your command, but not all that is asked for: notify-send was not found/,
      ),
      todo: expect.stringContaining("AUTOMAGIK_WORKFLOWS_NOTIFY"),
    });
    const broken = await examine(new SettingsError("broken"));
    expect(broken.found.notifications?.status).toBe("skipped");
  });
});

describe("the engine of this machine", () => {
  it("need not run, and is not started", async () => {
    const { code, found } = await examine(
      settings({ ENGINE: "local", API_KEY: "", CLAUDE_PATH: process.execPath }),
    );
    expect(code).toBe(1);
    expect(found.engine).toMatchObject({ status: "ok", message: expect.stringContaining("not running") });
    expect(found.address?.status).toBe("ok");
    expect(found.key).toBeUndefined();
    expect(readdirSync(home)).toEqual([]);
  });

  it("is looked at with its own key when it runs", async () => {
    const { url, api } = await serve({ apiKey: "the-engine-s-own-key" });
    await pretendEngine(url);
    const { found, text } = await examine(
      settings({ ENGINE: "local", API_KEY: "", BASE_URL: "http://elsewhere.test" }),
    );
    expect(found.engine).toMatchObject({
      status: "ok",
      message: expect.stringContaining(`running, 1.2.3 at ${url}`),
    });
    // What is right there goes without saying: the newcomer has set no key and knows no endpoints.
    expect(found.address).toMatchObject({ status: "ok", message: `${url} answers` });
    expect(found.key).toBeUndefined();
    expect(statuses(found, "catalogue", "manage", "events")).toEqual([undefined, undefined, undefined]);
    expect(new Set(api.requests.map(({ method }) => method))).toEqual(new Set(["GET"]));
    expect(text).not.toContain("the-engine-s-own-key");
  });

  it("is told of when it refuses its key", async () => {
    const { url } = await serve({ apiKey: "another key" });
    await pretendEngine(url);
    const { code, found } = await examine(settings({ ENGINE: "local", API_KEY: "" }));
    expect(code).toBe(1);
    expect(statuses(found, "address", "key")).toEqual(["ok", "failure"]);
  });

  it("is warned of when it does not answer", async () => {
    const { url, close } = await serve();
    await pretendEngine(url);
    await close();
    const { code, found } = await examine(settings({ ENGINE: "local", API_KEY: "" }));
    expect(code).toBe(1);
    expect(statuses(found, "address", "engine")).toEqual(["failure", "warning"]);
  });

  /** This process as the engine's, with an API that stands in for it. */
  async function pretendEngine(url: string): Promise<void> {
    const folder = join(state, "engine");
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(folder, "key"), "the-engine-s-own-key\n", { mode: 0o600 });
    const taken = await takeLock(folder, "lock", Date.now());
    if (!("lock" in taken)) throw new Error("The lock is taken.");
    onTestFinished(() => taken.lock.release());
    const background = true;
    writeEngineRecord(state, {
      ...(await lastingIdentity()),
      url,
      version: "1.2.3",
      startedAt: 0,
      keyDigest: "",
      background,
    });
  }
});
