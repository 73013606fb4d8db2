import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RunRecord, SessionRecord } from "../../src/sessions/store/session-record.js";
import type { SessionStore } from "../../src/sessions/store/session-store.js";

/** A small valid record. */
export function session(key: string, more: Partial<SessionRecord> = {}): SessionRecord {
  return { version: 1, key, name: key, createdAt: 1, updatedAt: 1, runs: [], ...more };
}

/** A small valid run. */
export function run(runId: string, more: Partial<RunRecord> = {}): RunRecord {
  return { runId, workflowName: "genie", status: "running", updatedAt: 1, ...more };
}

/** What every session store promises, wherever it keeps the records. `makeStore` gives a new and empty one. */
export function describeSessionStore(name: string, makeStore: () => Promise<SessionStore>): void {
  describe(`a session store in ${name}`, () => {
    let store: SessionStore;
    beforeEach(async () => {
      store = await makeStore();
    });
    afterEach(() => store.close());

    it("knows nothing at first", async () => {
      expect(await store.list()).toEqual([]);
      expect(await store.get("nothing")).toBeUndefined();
      await store.remove("nothing");
    });

    it("gives back what was put in, whole", async () => {
      const full = session("k", {
        name: "Überarbeitung 🚀",
        sessionId: "4f0c",
        sessionIdSeenAt: 5,
        repositoryUrl: "https://github.com/a/b.git",
        gitBranch: "main",
        runs: [
          run("r1", {
            startedAt: 2,
            completedAt: 3,
            turns: 4,
            maxTurns: 30,
            costUsd: 0.25,
            sessionId: "4f0c",
          }),
        ],
      });
      expect(await store.update("k", () => full)).toEqual(full);
      expect(await store.get("k")).toEqual(full);
      expect(await store.list()).toEqual([full]);
    });

    it("takes any text as a key and mixes none of them up", async () => {
      const keys = ["../../etc/passwd", "a/b", "a\\b", "A/B", "con", ".", "", "\u0000", "x".repeat(5_000)];
      for (const key of keys.filter(Boolean)) await store.update(key, () => session(key));
      expect((await store.list()).map((record) => record.key).sort()).toEqual(keys.filter(Boolean).sort());
      for (const key of keys.filter(Boolean)) expect((await store.get(key))?.key).toBe(key);
    });

    it("hands the newest record to a change, and keeps it when the change gives none", async () => {
      await store.update("k", () => session("k", { name: "one" }));
      const seen: unknown[] = [];
      const after = await store.update("k", (current) => {
        seen.push(current?.name);
        return undefined;
      });
      expect(seen).toEqual(["one"]);
      expect(after?.name).toBe("one");
      expect(await store.update("other", () => undefined)).toBeUndefined();
      expect(await store.list()).toHaveLength(1);
    });

    it("loses none of many changes asked for at once", async () => {
      const changes = Array.from({ length: 50 }, (_, i) =>
        store.update("k", (current) => ({
          ...(current ?? session("k")),
          runs: [...(current?.runs ?? []), run(`r${i}`)],
        })),
      );
      await Promise.all(changes);
      expect(new Set((await store.get("k"))?.runs.map((each) => each.runId)).size).toBe(50);
    });

    it("lists the session updated last first", async () => {
      for (const [key, updatedAt] of [
        ["a", 2],
        ["b", 3],
        ["c", 1],
      ] as const) {
        await store.update(key, () => session(key, { updatedAt }));
      }
      expect((await store.list()).map((record) => record.key)).toEqual(["b", "a", "c"]);
    });

    it("orders runs by their start and keeps the newest 200", async () => {
      const runs = Array.from({ length: 230 }, (_, i) => run(`r${i}`, { startedAt: i })).reverse();
      await store.update("k", () => session("k", { runs }));
      const kept = (await store.get("k"))?.runs ?? [];
      expect(kept.map((each) => each.startedAt)).toEqual(Array.from({ length: 200 }, (_, i) => i + 30));
    });

    it("keeps fields that it does not know", async () => {
      await store.update("k", () => ({ ...session("k"), colour: "green" }) as SessionRecord);
      await store.update("k", (current) => ({ ...(current ?? session("k")), name: "renamed" }));
      expect(await store.get("k")).toMatchObject({ name: "renamed", colour: "green" });
    });

    it("finds sessions by any of their names and ids", async () => {
      const records = [
        session("a", { name: "Login", sessionId: "conversation-a", updatedAt: 1 }),
        session("b", { name: "other", updatedAt: 3, runs: [run("b1", { sessionId: "conversation-b" })] }),
        session("c", {
          name: "log\u200bin",
          updatedAt: 2,
          runs: [run("c1"), run("c2", { resumes: "lost" })],
        }),
      ];
      for (const record of records) await store.update(record.key, () => record);
      const find = async (query: Parameters<SessionStore["find"]>[0]) =>
        (await store.find(query)).map(({ key }) => key);
      expect(await find({ names: ["login"] })).toEqual(["c", "a"]);
      expect(await find({ ids: ["c1"] })).toEqual(["c"]);
      expect(await find({ ids: ["conversation-a", "conversation-b"] })).toEqual(["b", "a"]);
      expect(await find({ names: ["OTHER"], ids: ["lost", "c1", "nothing"] })).toEqual(["b", "c"]);
      expect(await find({ names: ["nothing"], ids: ["nothing"] })).toEqual([]);
      expect(await find({})).toEqual([]);
      expect(await find({ names: ["c1"] })).toEqual([]);
      expect(await find({ ids: ["login"] })).toEqual([]);
      await store.update("b", () => session("b", { name: "renamed", runs: [run("b2")] }));
      await store.remove("a");
      expect(
        await find({ names: ["other", "login"], ids: ["b1", "conversation-a", "conversation-b"] }),
      ).toEqual(["c"]);
      expect(await find({ names: ["renamed"] })).toEqual(["b"]);
      expect(await find({ ids: ["b2"] })).toEqual(["b"]);
    });

    it("gives out copies", async () => {
      const mine = session("k", { runs: [run("r1")] });
      const returned = await store.update("k", () => mine);
      mine.name = "changed";
      if (returned) returned.name = "changed";
      (await store.get("k"))?.runs.pop();
      for (const record of await store.list()) record.runs.pop();
      await store.update("k", (current) => {
        current?.runs.pop();
        return undefined;
      });
      expect(await store.get("k")).toEqual(session("k", { runs: [run("r1")] }));
    });

    it("refuses a record that could not be read back, and stays as it was", async () => {
      await store.update("k", () => session("k", { name: "good" }));
      await expect(store.update("k", () => session("other"))).rejects.toThrow(TypeError);
      await expect(store.update("k", () => session("k", { updatedAt: Number.NaN }))).rejects.toThrow(
        TypeError,
      );
      await expect(store.update("k", () => session("k", { name: "x".repeat(5 << 20) }))).rejects.toThrow(
        TypeError,
      );
      expect((await store.get("k"))?.name).toBe("good");
    });

    it("passes on what a change throws, and goes on", async () => {
      const failing = store.update("k", () => {
        throw new RangeError("no");
      });
      await expect(failing).rejects.toThrow(RangeError);
      expect((await store.update("k", () => session("k")))?.key).toBe("k");
    });

    it("forgets a removed session", async () => {
      await store.update("k", () => session("k"));
      await store.remove("k");
      expect(await store.get("k")).toBeUndefined();
      expect(await store.list()).toEqual([]);
      expect(await store.update("k", (current) => current ?? session("k", { name: "again" }))).toMatchObject({
        name: "again",
      });
    });

    it("finishes what is under way when it is closed, and refuses what comes later", async () => {
      const underWay = store.update("k", () => session("k"));
      await store.close();
      expect((await underWay)?.key).toBe("k");
      await expect(store.list()).rejects.toThrow("closed");
      await expect(store.get("k")).rejects.toThrow("closed");
      await expect(store.update("k", () => undefined)).rejects.toThrow("closed");
      await expect(store.remove("k")).rejects.toThrow("closed");
    });
  });
}
