import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Libsql from "libsql";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, test } from "vitest";
import { addQuestion } from "../src/answers/questions.js";
import type { NeedView } from "../src/dashboard/views/needs.js";
import { addDelivery } from "../src/integrations/outbox.js";
import type { Channel } from "../src/notices/channel.js";
import { chooseChannels, type NotifySettings } from "../src/notices/choose-channels.js";
import { noticeOfEnd, noticeOfQuestion } from "../src/notices/notice.js";
import { createNotifier, type Notifier } from "../src/notices/notifier.js";
import { ASKED_BY_MS, GRACE_MS } from "../src/notices/outbox.js";
import { runProgram } from "../src/notices/run-program.js";
import { createSecrets } from "../src/settings/secrets.js";
import { createLog, type Log } from "../src/shared/log.js";
import { DATABASE_FILE } from "../src/shared/state-folder.js";
import { type BundledWorker, bundleWorker } from "./engine-workers/bundle.js";
import { ended, linesOf } from "./state-workers/worker-processes.js";
import { temporaryFolder } from "./support/bin.js";
import { createHandClock, type HandClock } from "./support/hand-clock.js";
import { testSettings, until } from "./support/harness.js";
import { recordingCommand, recordingDesktop, storedDeliveries, storedNotices } from "./support/notices.js";

const HOUR_MS = 60 * 60 * 1000;
const env = { PATH: process.env.PATH };

let folder: string;
let clock: HandClock;
let lines: string;
beforeEach(() => {
  folder = temporaryFolder();
  clock = createHandClock();
  lines = "";
});

function log(): Log {
  function write(text: string | Uint8Array): boolean {
    lines += text;
    return true;
  }
  return createLog({ level: "warn", stderr: { write } });
}

function commandOf(command: string, home = folder): Channel[] {
  return chooseChannels({ notify: "auto", notifyCommand: command }, { env, platform: "linux", home })
    .channels;
}

function openNotifier(channels: readonly Channel[], own: { clock?: HandClock } = {}): Notifier {
  const notifier = createNotifier({ folder, channels, clock: own.clock ?? clock, log: log() });
  onTestFinished(() => notifier.close());
  return notifier;
}

/** Writes down that a run has finished; the answer is the notice's key. */
function addEnd(notifier: Notifier, runId: string, more: { error?: string } = {}): string {
  const status = more.error ? "failed" : "completed";
  const notice = noticeOfEnd({ runId, sessionName: runId, status, ...more }, clock.now());
  if (!notice) throw new Error("no notice");
  notifier.add(runId, notice, clock.now());
  return notice.id;
}

/** A zombie, which nobody has waited for yet, has ended. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(sleep\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/**
 * Moves the clock on until it is so; each step is a second. It stands while something is being told: programs take their
 * own time, and what they are at would pass for abandoned after a minute of it.
 */
async function untilAfterSteps(isSo: () => boolean, what: string): Promise<void> {
  const isTelling = () => storedDeliveries(folder).some((one) => one.lease_until !== null);
  await until(() => {
    if (!isSo() && !isTelling()) clock.advance(1_000);
    return isSo();
  }, what);
}

describe("a notice", () => {
  it("is left to those who can tell it by one who only brings other things elsewhere", async () => {
    const { command, titles } = recordingCommand(folder);
    let isBrought = false;
    const issues = { name: "issues", describe: () => "A comment", deliver: async () => ({}) };
    const onDone = () => {
      isBrought = true;
    };
    const other = createNotifier({ folder, channels: [], targets: [issues], clock, log: log(), onDone });
    onTestFinished(() => other.close());
    const key = addEnd(openNotifier([]), "login");
    await until(() => storedNotices(folder)[key] !== undefined, "the notice to be noted");
    clock.advance(GRACE_MS + 1);
    const comment = { id: "one", target: "issues", kind: "comment", payload: {} };
    other.write((trx, now) => addDelivery(trx, comment, now));
    await until(() => isBrought, "what it brings");
    openNotifier(commandOf(command)).look();
    await until(() => titles().length > 0, "the notice to be told");
    expect(titles()).toEqual(["login: finished"]);
  });

  it("is told once, after the time in which a window may say that its person knows", async () => {
    const { command, told, titles } = recordingCommand(folder);
    const notifier = openNotifier(commandOf(command));
    const key = addEnd(notifier, "jwt-login");
    await until(() => clock.pending() > 0, "the notice to wait");
    clock.advance(GRACE_MS - 1);
    expect(storedNotices(folder)[key]?.state).toBe("waiting");
    expect(titles()).toEqual([]);
    clock.advance(1);
    await until(() => titles().length > 0, "the command");
    expect(told()).toEqual([
      {
        event: "finished",
        id: "jwt-login/ended",
        at: new Date(clock.now() - GRACE_MS).toISOString(),
        title: "jwt-login: finished",
        body: "To see the result, ask for the status of jwt-login in a chat window.",
        run: { run_id: "jwt-login", session_name: "jwt-login", status: "completed" },
      },
    ]);
    // Noticed once more, by this process or another.
    addEnd(notifier, "jwt-login");
    addEnd(openNotifier(commandOf(command)), "jwt-login");
    addEnd(notifier, "second");
    await untilAfterSteps(() => titles().includes("second: finished"), "the second");
    expect(titles()).toEqual(["jwt-login: finished", "second: finished"]);
    expect(lines).toBe("");
  });

  it("is not told when a window has settled it in time, whichever comes first", async () => {
    const { command, titles } = recordingCommand(folder);
    const engine = openNotifier(commandOf(command));
    const window = openNotifier([]);
    const key = addEnd(engine, "followed");
    await until(() => clock.pending() > 0, "the notice to be noted");
    window.settle([key, "nobody/ended"]);
    await until(() => storedNotices(folder)[key]?.state === "settled", "the notice to be settled");
    addEnd(engine, "unfollowed");
    await untilAfterSteps(() => titles().length > 0, "the other notice");
    expect(titles()).toEqual(["unfollowed: finished"]);
  });

  it("is told at its time also where the clock that it was written by is set back then", async () => {
    clock.set(24 * HOUR_MS);
    const { command, titles } = recordingCommand(folder);
    const notifier = openNotifier(commandOf(command));
    addEnd(notifier, "login");
    await until(() => clock.pending() > 0, "the notice to wait");
    clock.set(-24 * HOUR_MS);
    await untilAfterSteps(() => titles().length > 0, "the command");
    expect(titles()).toEqual(["login: finished"]);
  });

  it("that could not be told for a day is no news any more", async () => {
    const { command, titles } = recordingCommand(folder);
    const former = openNotifier(commandOf(command));
    addEnd(former, "old");
    await until(() => clock.pending() > 0, "the notice to be noted");
    await former.close();
    clock.advance(25 * HOUR_MS);
    const next = openNotifier(commandOf(command));
    addEnd(next, "new");
    await untilAfterSteps(() => titles().length > 0, "the new one");
    expect(titles()).toEqual(["new: finished"]);
    expect(storedNotices(folder)["old/ended"]?.state).toBe("settled");
  });

  it("that a former process has left is told by the next", async () => {
    const { command, titles } = recordingCommand(folder);
    const former = openNotifier(commandOf(command));
    addEnd(former, "left");
    await until(() => clock.pending() > 0, "the notice to be noted");
    await former.close();
    clock.advance(HOUR_MS);
    openNotifier(commandOf(command)).look();
    await until(() => titles().length > 0, "the command");
    expect(titles()).toEqual(["left: finished"]);
  });
});

describe("what a service asks", () => {
  /** A service that asks as well, and a command beside it; what each has told. */
  function openBoth() {
    const [service, beside] = ["service", "beside"].map((name) => {
      const place = join(folder, name);
      mkdirSync(place);
      return recordingCommand(place);
    }) as [ReturnType<typeof recordingCommand>, ReturnType<typeof recordingCommand>];
    const [asking] = commandOf(service.command);
    const channels = [{ ...(asking as Channel), name: "ntfy", asks: "ntfy" as const }];
    return { service, beside, notifier: openNotifier([...channels, ...commandOf(beside.command)]) };
  }

  function addNeed(notifier: Notifier): string {
    const question = { questionId: "q1", kind: "permission" as const, text: "test wants to run `npm test`" };
    const facts = { runId: "r", sessionName: "jwt", status: "waiting" };
    const notice = noticeOfQuestion(facts, question, clock.now());
    notifier.add("r", notice, clock.now());
    return notice.id;
  }

  it("it does not tell besides, also where it asks a little later; others tell it in time", async () => {
    const { service, beside, notifier } = openBoth();
    const key = addNeed(notifier);
    addEnd(notifier, "other");
    await until(() => clock.pending() > 0, "the notice to wait");
    clock.advance(GRACE_MS);
    await until(() => beside.titles().length === 2, "the command");
    expect(storedNotices(folder)[key]?.state).toBe("waiting");
    const need: NeedView = { id: "r q1", kind: "permission", title: "May it?", choices: [] };
    const asked = { code: "code", needId: need.id, service: "ntfy", need };
    notifier.write((trx, now) => addQuestion(trx, "the API", asked, now));
    await untilAfterSteps(() => storedNotices(folder)[key]?.state === "released", "it to be left");
    expect(clock.now() - Date.parse("2026-11-25T12:00:00Z")).toBeLessThan(ASKED_BY_MS);
    addEnd(notifier, "last");
    await untilAfterSteps(
      () => [service, beside].every((one) => one.titles().includes("last: finished")),
      "the last one",
    );
    expect(service.titles()).toEqual(["other: finished", "last: finished"]);
    expect(beside.titles().toSorted()).toEqual([
      "jwt needs you: test wants to run `npm test`",
      "last: finished",
      "other: finished",
    ]);
  });

  it("it tells where nobody has asked it by then", async () => {
    const { service, notifier } = openBoth();
    addNeed(notifier);
    await until(() => clock.pending() > 0, "the notice to wait");
    await untilAfterSteps(() => service.titles().length > 0, "the service");
    expect(service.titles()).toEqual(["jwt needs you: test wants to run `npm test`"]);
    expect(clock.now() - Date.parse("2026-11-25T12:00:00Z")).toBeGreaterThanOrEqual(ASKED_BY_MS);
  });

  it("is what is set for it, and not for an address in the list", () => {
    const asks = (set: Record<string, string>) => {
      const settings = testSettings({ NTFY_TOPIC: "https://ntfy.sh/one", ...set });
      const secrets = createSecrets({ settings, env: {}, home: "/" });
      const machine = { env, platform: "linux", home: folder } as const;
      return chooseChannels(settings, machine, secrets).channels.map((channel) => channel.asks);
    };
    const set = { NTFY_ANSWERS: "https://ntfy.sh/two", NTFY_ANSWERERS: "Ann" };
    expect(asks({ NOTIFY: "ntfy" })).toEqual([undefined]);
    expect(asks({ NOTIFY: "ntfy", ...set })).toEqual(["ntfy"]);
    expect(asks({ NOTIFY: "https://ntfy.sh/team", ...set })).toEqual([undefined]);
  });
});

describe("a channel that fails", () => {
  it("is tried again, four times, then given up with a line in the log", async () => {
    const tries = join(folder, "tries");
    const notifier = openNotifier(
      commandOf(`echo x >> '${tries}'; echo 'https://secret.example' >&2; exit 7`),
    );
    addEnd(notifier, "jwt-login");
    await untilAfterSteps(() => lines !== "", "it to be given up");
    expect(readFileSync(tries, "utf8")).toBe("x\n".repeat(4));
    expect(lines).toBe(
      '[warn] The notification "jwt-login: finished" could not be given (command: exit code 7), 4 times. It is given up.\n',
    );
    expect(clock.now() - Date.parse("2026-11-25T12:00:00Z")).toBeGreaterThanOrEqual(GRACE_MS + 155_000);
  });

  it("does not keep another from its notice, and is told once when it works again", async () => {
    const { command, titles } = recordingCommand(folder);
    const desktop = recordingDesktop(folder);
    const gate = join(folder, "gate");
    const { channels } = chooseChannels(
      { notify: "desktop", notifyCommand: `test -e '${gate}' && ${command}` },
      {
        env: { PATH: `${desktop.path}:${env.PATH}`, DBUS_SESSION_BUS_ADDRESS: "unix:path=/x" },
        platform: "linux",
        home: folder,
      },
    );
    const notifier = openNotifier(channels);
    addEnd(notifier, "jwt-login");
    await untilAfterSteps(() => desktop.shown().length > 0, "the desktop");
    writeFileSync(gate, "");
    await untilAfterSteps(() => titles().length > 0, "the command");
    addEnd(notifier, "second");
    await untilAfterSteps(() => desktop.shown().length > 1 && titles().length > 1, "the second");
    expect(titles()).toEqual(["jwt-login: finished", "second: finished"]);
    expect(desktop.shown().map((args) => args[2])).toEqual(titles());
  });

  it("is not tried again for a question that was answered meanwhile", async () => {
    const tries = join(folder, "tries");
    const notifier = openNotifier(commandOf(`cat >> '${tries}'; exit 1`));
    const question = { questionId: "q1", kind: "permission" as const, text: "test wants to run `npm test`" };
    const notice = noticeOfQuestion(
      { runId: "r", sessionName: "jwt", status: "running" },
      question,
      clock.now(),
    );
    notifier.add("r", notice, clock.now());
    await untilAfterSteps(() => existsSync(tries), "the first try");
    notifier.settle([notice.id]);
    await until(() => storedNotices(folder)[notice.id]?.state === "settled", "it to be settled");
    const { command, titles } = recordingCommand(folder);
    const other = openNotifier(commandOf(command));
    addEnd(other, "other");
    await untilAfterSteps(() => titles().length > 0, "another notice");
    clock.advance(HOUR_MS);
    expect(readFileSync(tries, "utf8").split("\n").filter(Boolean)).toHaveLength(1);
    expect(lines).toBe("");
  });

  it("and hangs is ended, with what it has started", async () => {
    const started = join(folder, "started");
    const hanging = runProgram(`sleep 600 & echo $! > '${started}'; wait`, [], {
      env,
      cwd: folder,
      shell: true,
      signal: new AbortController().signal,
      limitMs: 1_000,
    });
    await expect(hanging).rejects.toThrow("it took longer than 1 s");
    const pid = Number(readFileSync(started, "utf8"));
    await until(() => !isAlive(pid), "the sleeping program to end");
  });

  it("by a command that cannot be started says so", async () => {
    const notifier = openNotifier(commandOf("cat", join(folder, "gone")));
    addEnd(notifier, "jwt-login");
    await untilAfterSteps(() => lines !== "", "it to be given up");
    expect(lines).toContain("(command: it cannot be started (ENOENT)), 4 times");
  });
});

test("a database that cannot be used is told once, and notices are told again when it can", async () => {
  const { command, titles } = recordingCommand(folder);
  writeFileSync(join(folder, "state"), "a file where the folder should be");
  const notifier = createNotifier({
    folder: join(folder, "state"),
    channels: commandOf(command),
    clock,
    log: log(),
  });
  onTestFinished(() => notifier.close());
  addEnd(notifier, "lost");
  await until(() => lines !== "", "the warning");
  rmSync(join(folder, "state"));
  addEnd(notifier, "kept");
  await untilAfterSteps(() => titles().length > 0, "the command");
  expect(titles()).toEqual(["kept: finished"]);
  expect(lines.match(/warn/g)).toHaveLength(1);
  expect(lines).toContain("Notifications cannot be noted:");
});

describe("several processes", () => {
  let base: string;
  let worker: BundledWorker;
  beforeAll(async () => {
    base = mkdtempSync(join(tmpdir(), "notices-"));
    worker = await bundleWorker("engine-workers/tell-notices", base);
  });
  afterAll(() => rmSync(base, { recursive: true, force: true }));

  /** Notices that have been due for a minute. */
  async function addDue(count: number): Promise<void> {
    const past = createHandClock(Date.now() - 60_000);
    const notifier = createNotifier({ folder, channels: [], clock: past, log: log() });
    for (let index = 0; index < count; index++) {
      const runId = `run-${index}`;
      const notice = noticeOfEnd({ runId, sessionName: runId, status: "completed" }, past.now());
      if (notice) notifier.add(runId, notice, past.now());
    }
    await notifier.close();
    expect(Object.keys(storedNotices(folder))).toHaveLength(count);
  }

  it("that tell at once tell each notice once", async () => {
    const { command, titles } = recordingCommand(folder);
    await addDue(20);
    const workers = Array.from({ length: 4 }, () => worker.start(folder, command));
    await until(() => titles().length >= 20, "all notices");
    for (const worker of workers) worker.stdin.end();
    expect(await Promise.all(workers.map(ended))).toEqual([0, 0, 0, 0]);
    expect(titles().sort()).toEqual(
      Array.from({ length: 20 }, (_, index) => `run-${index}: finished`).sort(),
    );
  });

  it("of which one is killed while it tells do not tell the same a second time, and say that it is not known", async () => {
    const { command, titles } = recordingCommand(folder);
    await addDue(1);
    const killed = worker.start(folder, `${command}; sleep 600`);
    await until(() => titles().length > 0, "the command to be at it");
    killed.kill("SIGKILL");
    await ended(killed);
    // Its lease has ended.
    const db = new Libsql(join(folder, DATABASE_FILE));
    expect(
      db.prepare("update deliveries set lease_until = 0 where lease_until is not null").run().changes,
    ).toBe(1);
    db.close();
    const next = worker.start(folder, command);
    const { value } = await linesOf(next).next();
    expect(value).toBe(
      '[warn] Whether the notification "run-0: finished" was told is not known: its process has ended, or no answer came.',
    );
    next.stdin.end();
    expect(await ended(next)).toBe(0);
    expect(titles()).toEqual(["run-0: finished"]);
  });
});

describe("the desktop", () => {
  const display = { DISPLAY: ":0", DBUS_SESSION_BUS_ADDRESS: "unix:path=/run/user/1/bus" };
  const choose = (settings: NotifySettings, own: NodeJS.ProcessEnv, platform: NodeJS.Platform = "linux") => {
    const { channels, told, problem } = chooseChannels(settings, { env: own, platform, home: folder });
    return { names: channels.map(({ name }) => name), told, problem };
  };

  it("is used where there is a session, a bus and a program, unless the person has another way", () => {
    const { path } = recordingDesktop(folder);
    const whole = { ...display, PATH: path };
    expect(choose({ notify: "auto" }, whole)).toMatchObject({
      names: ["desktop"],
      told: "on the desktop, by notify-send",
    });
    expect(choose({ notify: "auto" }, { ...whole, DISPLAY: "", WAYLAND_DISPLAY: "wayland-0" }).names).toEqual(
      ["desktop"],
    );
    expect(choose({ notify: "auto", notifyCommand: "cat" }, whole)).toMatchObject({
      names: ["command"],
      told: "by your command",
    });
    expect(choose({ notify: "desktop", notifyCommand: "cat" }, whole)).toMatchObject({
      names: ["command", "desktop"],
      told: "by your command and on the desktop, by notify-send",
    });
    expect(choose({ notify: "off", notifyCommand: "cat" }, whole)).toEqual({
      names: [],
      told: "off",
      problem: undefined,
    });
  });

  it("is not used, without an error, where there is none; who asks for it is told what is missing", () => {
    const { path } = recordingDesktop(folder);
    const bus = { PATH: path, XDG_RUNTIME_DIR: folder };
    expect(choose({ notify: "auto" }, { PATH: path })).toEqual({
      names: [],
      told: "none: there is no desktop session (neither DISPLAY nor WAYLAND_DISPLAY is set)",
      problem: undefined,
    });
    expect(choose({ notify: "auto" }, { ...display, PATH: "/nowhere:relative" }).told).toMatch(
      /^none: notify-send was not found/,
    );
    expect(choose({ notify: "auto" }, { DISPLAY: ":0", ...bus }).told).toMatch(
      /^none: there is no session bus/,
    );
    expect(choose({ notify: "desktop" }, { PATH: "/nowhere" }).problem).toMatch(/^notify-send was not found/);
    // A client that hands on no more than HOME and PATH: the bus has a fixed place.
    writeFileSync(join(folder, "bus"), "");
    expect(choose({ notify: "desktop" }, bus).names).toEqual(["desktop"]);
    expect(choose({ notify: "auto" }, bus).names).toEqual([]);
  });

  it("is that of macOS and of Windows, but not for somebody who comes over ssh", () => {
    expect(choose({ notify: "auto" }, {}, "darwin").told).toBe("on the desktop, by osascript");
    expect(choose({ notify: "auto" }, {}, "win32").told).toBe("on the desktop, by PowerShell");
    for (const platform of ["darwin", "win32"] as const)
      expect(choose({ notify: "auto" }, { SSH_CONNECTION: "x" }, platform).told).toBe(
        "none: this is a session over ssh",
      );
    expect(choose({ notify: "auto" }, display, "aix").told).toBe("none: no way is known on aix");
  });

  it("gets hostile text as arguments only, with nothing that it would take for markup", async () => {
    const desktop = recordingDesktop(folder);
    const { channels } = chooseChannels(
      { notify: "auto" },
      { env: { ...display, PATH: desktop.path }, platform: "linux", home: folder },
    );
    const hostile = "--help <b>&\\n$(touch x)`touch x`\u202e\u001b[31m\n\"'";
    const notifier = openNotifier(channels);
    const notice = noticeOfEnd(
      { runId: "r", sessionName: hostile, status: "failed", error: `${hostile}${"x".repeat(5_000)}` },
      clock.now(),
    );
    if (!notice) throw new Error("no notice");
    notifier.add("r", notice, clock.now());
    await untilAfterSteps(() => desktop.shown().length > 0, "the desktop");
    const [[app, dashes, title = "", body = ""] = []] = desktop.shown();
    expect([app, dashes]).toEqual(["--app-name=Automagik Workflows", "--"]);
    expect(title).toMatch(/^--help <b>&\\n\$\(touch x\)`touch x` "' failed: --help /);
    expect(title.length).toBeLessThanOrEqual(120);
    expect(body).toContain("--help &lt;b&gt;&amp;\\\\n$(touch x)");
    expect(JSON.stringify(notice)).not.toMatch(/\\u001b|\u202e/);
    expect(JSON.stringify(notice).length).toBeLessThan(1_500);
    expect(existsSync(join(folder, "x"))).toBe(false);
  });
});
