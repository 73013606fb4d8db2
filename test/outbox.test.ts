import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { createCarrier } from "../src/integrations/carrier.js";
import { NotNow, Refused, Unknown } from "../src/integrations/delivery-error.js";
import { addDelivery, claimDelivery, showByDelivery } from "../src/integrations/outbox.js";
import { type Delivery, LONG_PAUSES_MS, type Target } from "../src/integrations/target.js";
import { createLog } from "../src/shared/log.js";
import { openDatabase, transaction } from "../src/store/database.js";
import { temporaryFolder } from "./support/bin.js";
import { createHandClock, type HandClock, hasten } from "./support/hand-clock.js";
import { until } from "./support/harness.js";
import { storedDeliveries } from "./support/notices.js";

/** A place that is told of events: it answers one after the other with what is given, and then takes everything. */
interface Place {
  target: Target;
  got: Delivery[];
}

const DAY_MS = 24 * 60 * 60 * 1000;

let folder: string;
let clock: HandClock;
let lines: string;
beforeEach(() => {
  folder = temporaryFolder();
  clock = createHandClock();
  lines = "";
});

function placeOf(
  name: string,
  answers: (Error | undefined)[] = [],
  more: Partial<Target> & { remoteId?: string } = {},
): Place {
  const got: Delivery[] = [];
  const { remoteId, ...own } = more;
  const target: Target = {
    name,
    describe: ({ id }) => `The comment ${id}`,
    async deliver(delivery) {
      got.push(delivery);
      const answer = answers.shift();
      if (answer) throw answer;
      return remoteId === undefined ? {} : { remoteId };
    },
    ...own,
  };
  return { target, got };
}

function carry(...places: Place[]) {
  const write = (text: string | Uint8Array) => {
    lines += text;
    return true;
  };
  const targets = places.map(({ target }) => target);
  const log = createLog({ level: "warn", stderr: { write } });
  const carrier = createCarrier({ folder, targets, clock, log });
  onTestFinished(() => carrier.close());
  return carrier;
}

const stored = () => Object.fromEntries(storedDeliveries(folder).map((row) => [row.id, row]));

/** Moves the clock on until it is so; each step is a second. */
async function untilAfterSteps(isSo: () => boolean, what: string): Promise<void> {
  await until(() => {
    if (isSo()) return true;
    clock.advance(1_000);
    return false;
  }, what);
}

const comment = (id: string, payload: unknown = id) => ({ id, target: "linear", kind: "comment", payload });
const untilState = (id: string, state: string) =>
  untilAfterSteps(() => stored()[id]?.state === state, `${id} to be ${state}`);

describe("what is in the outbox", () => {
  it("goes out once, whoever writes it and however often", async () => {
    const place = placeOf("linear");
    const carrier = carry(place);
    carrier.write((trx, now) => addDelivery(trx, comment("a"), now));
    carrier.write((trx, now) => addDelivery(trx, comment("a", "otherwise"), now));
    carry(place).look();
    await untilState("a", "sent");
    carrier.write((trx, now) => addDelivery(trx, comment("a"), now));
    carrier.write((trx, now) => addDelivery(trx, comment("b"), now));
    await untilState("b", "sent");
    expect(place.got.map(({ id }) => id)).toEqual(["a", "b"]);
    expect(place.got[0]).toEqual(expect.objectContaining({ payload: "a", mayHaveBeenSent: false }));
    expect(lines).toBe("");
  });

  it("waits for what is before it in its lane, and for nothing else", async () => {
    const place = placeOf("linear", [new NotNow("not now")]);
    const carrier = carry(place);
    carrier.write(async (trx, now) => {
      await addDelivery(trx, { ...comment("first"), lane: "one" }, now);
      await addDelivery(trx, { ...comment("second"), lane: "one" }, now + 1);
      await addDelivery(trx, { ...comment("other"), lane: "two" }, now + 1);
    });
    await untilState("second", "sent");
    expect(place.got.map(({ id }) => id)).toEqual(["first", "other", "first", "second"]);
  });

  it("and was written, or taken on, by a clock that was set back since goes out all the same", async () => {
    const place = placeOf("linear", [new NotNow("not now")], { isRepeatable: () => true });
    clock.set(DAY_MS);
    const carrier = carry(place);
    carrier.write((trx, now) => addDelivery(trx, comment("again"), now));
    await until(() => stored().again?.note === "not now", "the first try");
    const db = await openDatabase({ folder });
    await transaction(db, async (trx) => {
      await addDelivery(trx, comment("taken"), clock.now());
      // By a process that ends in the middle of it.
      await claimDelivery(trx, "linear", clock.now());
    });
    await db.destroy();
    clock.set(-DAY_MS);
    await untilState("again", "sent");
    await untilState("taken", "sent");
    expect(place.got.map(({ id, mayHaveBeenSent }) => [id, mayHaveBeenSent])).toEqual(
      expect.arrayContaining([
        ["again", false],
        ["taken", true],
      ]),
    );
  });

  it("is what is shown last: sent once when it was changed before, and changed when it was sent", async () => {
    const place = placeOf("linear", [], { remoteId: "c-1" });
    const carrier = carry(place);
    carrier.write(async (trx, now) => {
      await showByDelivery(trx, comment("a", "plan"), now);
      await showByDelivery(trx, comment("a", "build"), now);
    });
    await untilState("a", "sent");
    carrier.write((trx, now) => showByDelivery(trx, comment("a", "build"), now));
    carrier.write((trx, now) => showByDelivery(trx, comment("a", "done"), now));
    await untilAfterSteps(() => place.got.length > 1, "the change");
    await untilState("a", "sent");
    expect(place.got).toEqual([
      expect.objectContaining({ payload: "build" }),
      expect.objectContaining({ payload: "done", remoteId: "c-1" }),
    ]);
  });

  it("and was changed while it went out goes out once more, as a change", async () => {
    const place = placeOf("linear", [], { remoteId: "c-1" });
    const { deliver } = place.target;
    let isFree = () => {};
    place.target.deliver = async (delivery, signal) => {
      if (delivery.payload === "plan")
        await new Promise<void>((resolve) => {
          isFree = resolve;
        });
      return deliver(delivery, signal);
    };
    const carrier = carry(place);
    carrier.write((trx, now) => showByDelivery(trx, comment("a", "plan"), now));
    await until(() => (stored().a?.tries ?? 0) > 0, "it to be at it");
    carrier.write((trx, now) => showByDelivery(trx, comment("a", "build"), now));
    await until(() => stored().a?.payload === '"build"', "the change to be written");
    isFree();
    await untilAfterSteps(() => place.got.length > 1, "the change");
    expect(place.got[1]).toMatchObject({ payload: "build", remoteId: "c-1" });
  });
});

describe("a service", () => {
  it("that says no is not asked again, and that is told", async () => {
    const place = placeOf("linear", [new Refused("Linear refused it (HTTP 403)")]);
    const carrier = carry(place);
    carrier.write((trx, now) => addDelivery(trx, comment("a"), now));
    await untilState("a", "failed");
    clock.advance(24 * 60 * 60 * 1000);
    carrier.write((trx, now) => addDelivery(trx, comment("b"), now));
    await untilState("b", "sent");
    expect(place.got.map(({ id }) => id)).toEqual(["a", "b"]);
    expect(lines).toBe(
      "[warn] The comment a could not be given (linear: Linear refused it (HTTP 403)). It is given up.\n",
    );
    expect(stored().a?.note).toBe("Linear refused it (HTTP 403)");
  });

  it("that asks to wait is not asked sooner", async () => {
    const times: number[] = [];
    const place = placeOf("linear", [new NotNow("later", 90_000)]);
    const { deliver } = place.target;
    place.target.deliver = (delivery, signal) => {
      times.push(clock.now());
      return deliver(delivery, signal);
    };
    carry(place).write((trx, now) => addDelivery(trx, comment("a"), now));
    await untilState("a", "sent");
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(90_000);
  });

  it("that has no key and gives no answer is not told twice: that it is not known is said", async () => {
    const place = placeOf("linear", [new Unknown("Slack gave no answer")]);
    carry(place).write((trx, now) => addDelivery(trx, comment("a"), now));
    await untilState("a", "unknown");
    expect(place.got).toHaveLength(1);
    expect(lines).toBe("[warn] Whether the comment a was told is not known: Slack gave no answer.\n");
  });

  it("that knows a key is told again, and told that the former try may have arrived", async () => {
    const answers = [new Unknown("no answer"), new NotNow("not reached")];
    const place = placeOf("linear", answers, { isRepeatable: () => true });
    carry(place).write((trx, now) => addDelivery(trx, comment("a"), now));
    await untilState("a", "sent");
    expect(place.got.map(({ mayHaveBeenSent }) => mayHaveBeenSent)).toEqual([false, true, true]);
    expect(lines).toBe("");
  });
});

it("what has to arrive also after a long outage is tried for hours", async () => {
  const answers = Array.from({ length: 16 }, () => new NotNow("not reached"));
  const place = placeOf("linear", answers, { pausesMs: LONG_PAUSES_MS });
  const begun = clock.now();
  carry(place).write((trx, now) => addDelivery(trx, comment("a"), now));
  await until(() => {
    clock.advance(10 * 60_000);
    return stored().a?.state === "sent";
  }, "it to be sent");
  expect(clock.now() - begun).toBeGreaterThan(10 * 60 * 60_000);
});

describe("a process that ends in the middle", () => {
  async function leave(place: Place): Promise<void> {
    place.target.deliver = async (delivery) => {
      place.got.push(delivery);
      return new Promise(() => {});
    };
    const carrier = carry(place);
    carrier.write((trx, now) => addDelivery(trx, comment("a"), now));
    await until(() => place.got.length > 0, "it to be at it");
    await hasten(clock, carrier.close());
  }

  it("leaves what has a key to the next one, which knows of it", async () => {
    await leave(placeOf("linear"));
    const next = placeOf("linear", [], { isRepeatable: () => true });
    carry(next).look();
    await untilState("a", "sent");
    expect(next.got).toEqual([expect.objectContaining({ id: "a", mayHaveBeenSent: true })]);
  });

  it("leaves what has none as unknown", async () => {
    await leave(placeOf("linear"));
    const next = placeOf("linear");
    carry(next).look();
    await untilState("a", "unknown");
    expect(next.got).toEqual([]);
  });
});

it("a transaction that is undone leaves nothing to be told", async () => {
  const db = await openDatabase({ folder });
  onTestFinished(() => db.destroy());
  const undone = transaction(db, async (trx) => {
    await addDelivery(trx, comment("a"), clock.now());
    throw new Error("undone");
  });
  await expect(undone).rejects.toThrow("undone");
  expect(stored()).toEqual({});
});
