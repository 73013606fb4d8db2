import type { Migration } from "../migration.js";

/** Questions that people may answer from another service, and who holds the connections to these. Times are epoch ms. */
export interface OutsideQuestionTables {
  outside_questions: {
    /** What its buttons carry: random, and of use once. */
    code: string;
    /** What is asked, as it is named among all that needs a person; the same one once for each service. */
    need_id: string;
    /** Of which workflows API. */
    upstream: string;
    service: string;
    /** `open`; `taken`: somebody has answered, and the answer is being given; `closed`. */
    state: string;
    /** What is asked and what the answers mean, as JSON. */
    need: string;
    /** What was answered, as it is sent. */
    answer: string | null;
    /** Who has, as the service names them. */
    answered_by: string | null;
    created_at: number;
    changed_at: number;
  };
  /** Who may do something of which there is to be one: it ends by itself. */
  holders: {
    name: string;
    holder: string;
    held_until: number;
  };
}

export const outsideQuestionsMigration: Migration = {
  name: "011-outside-questions",
  olderMayGoOn: true,
  statements: [
    `create table outside_questions (
      code text not null primary key,
      need_id text not null,
      upstream text not null,
      service text not null,
      state text not null,
      need text not null,
      answer text,
      answered_by text,
      created_at double precision not null,
      changed_at double precision not null,
      unique (upstream, service, need_id)
    )`,
    `create index outside_questions_by_state on outside_questions (upstream, state)`,
    `create table holders (
      name text not null primary key,
      holder text not null,
      held_until double precision not null
    )`,
  ],
};
