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
  let made: CompiledQuery<Row> | undefined;
  const standIns = new Proxy({}, { get: (_, name) => new StandIn(String(name)) }) as Values;
  return async (db, values) => {
    made ??= build(db, standIns).compile();
    const parameters = made.parameters.map((one) => (one instanceof StandIn ? values[one.name] : one));
    const statement: CompiledQuery<Row> = { ...made, parameters };
    return (await db.executeQuery(statement)).rows;
  };
}
