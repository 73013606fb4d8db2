import type { Compilable, CompiledQuery, Kysely } from "kysely";
import type { Tables } from "./tables.js";

type Value = string | number | null;

/** Stands for a value of a statement while that is made. */
class StandIn {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/**
 * A statement that is made once and carried out with other values each time: the query builder takes longer to make one
 * than SQLite to carry it out.
 * @param build makes it, with something that stands for each value
 * @returns carries it out in a database or a transaction, and gives its rows
 */
export function createStatement<Values extends Record<string, Value>, Row>(
  build: (db: Kysely<Tables>, values: Values) => Compilable<Row>,
): (db: Kysely<Tables>, values: Values) => Promise<Row[]> {
  /** By the kind of database: each has a form of its own. */
  const made = new Map<unknown, CompiledQuery<Row>>();
  const standIns = new Proxy({}, { get: (_, name) => new StandIn(String(name)) }) as Values;
  return async (db, values) => {
    const kind = db.getExecutor().adapter.constructor;
    const form = made.get(kind) ?? build(db, standIns).compile();
    made.set(kind, form);
    const parameters = form.parameters.map((one) => (one instanceof StandIn ? values[one.name] : one));
    const statement: CompiledQuery<Row> = { ...form, parameters };
    return (await db.executeQuery(statement)).rows;
  };
}
